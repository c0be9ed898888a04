"""Plans and fits in processes of their own: within limits, and the event loop does not feel them."""

import asyncio
import gc
import os
import signal
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from scaling_api.v1alpha1.execution import Pool
from scaling_api.v1alpha1.experiment import ExperimentSpec
from scaling_api.v1alpha1.status import TrialState
from scaling_api.v1alpha1.trial import TrialMetrics, TrialRecord, TrialStatus
from scaling_laws.design.plan import plan_trials
from scaling_operator import science as science_module
from scaling_operator.fitting import AnalysisRequest, make_analysis
from scaling_operator.planning import PlanRequest, make_plan
from scaling_operator.science import Limits, Science

FINGERPRINT = "ab" * 32
POOLS = (Pool(name="cpu"),)


def spec(*, sizes: int = 4, tokens: int = 4, seeds: int = 2) -> ExperimentSpec:
    return ExperimentSpec.model_validate(
        {
            "task": {"language": {"corpus": {"python": {}}, "contextLength": 64}},
            "sweep": {
                "model": {"parameters": [round(10_000 * 1.25**n) for n in range(sizes)]},
                "data": {"tokens": [round(600_000 * 1.2**n) for n in range(tokens)]},
                "seeds": seeds,
                "limits": {"tokensPerParameter": {"min": 0}},
            },
        }
    )


def plan_request(wanted: ExperimentSpec) -> PlanRequest:
    return PlanRequest(wanted, FINGERPRINT, lanes=4, pools=POOLS)


def records(wanted: ExperimentSpec) -> tuple[TrialRecord, ...]:
    plan = plan_trials(wanted, corpus_fingerprint=FINGERPRINT)
    return tuple(
        TrialRecord(
            spec=trial,
            status=TrialStatus(
                state=TrialState.SUCCEEDED,
                attempts=1,
                metrics=TrialMetrics(
                    loss=1.0 + 40 * trial.parameters.matmul**-0.4 + 900 * trial.tokens**-0.55 + 0.002 * (trial.seed % 3)
                ),
            ),
        )
        for trial in plan.dense
    )


def run(scenario: Callable[[Science], Awaitable[None]], *, limits: Limits | None = None) -> None:
    async def whole() -> None:
        science = Science(limits or Limits(120, 2 * 2**30))
        try:
            await scenario(science)
        finally:
            await science.close()

    asyncio.run(whole())


class Lag:
    """The longest that the event loop worked without coming round, in seconds of its thread's processor time.

    Wall time would also count what else runs on the machine.
    """

    def __init__(self) -> None:
        self.longest_s = 0.0

    async def measure(self) -> None:
        while True:
            began = time.thread_time()
            await asyncio.sleep(0.001)
            self.longest_s = max(self.longest_s, time.thread_time() - began)


def children() -> set[int]:
    return {int(pid) for pid in Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()}


def test_answers_are_those_of_the_same_call_made_here() -> None:
    async def scenario(science: Science) -> None:
        wanted = spec()
        assert await science.plan(plan_request(wanted)) == make_plan(plan_request(wanted))
        request = AnalysisRequest(wanted, records(wanted))
        assert await science.analyse(request) == make_analysis(request)

    run(scenario)


def test_the_loop_does_not_feel_a_fit_nor_a_plan_of_thousands_of_trials() -> None:
    gc.collect()
    gc.freeze()  # as the operator does when it starts

    async def scenario(science: Science) -> None:
        large = spec(sizes=20, tokens=10, seeds=24)
        small = spec(sizes=6, tokens=6, seeds=8)
        request = AnalysisRequest(small, records(small))
        await asyncio.gather(science.plan(plan_request(spec())), science.analyse(AnalysisRequest(small, ())))
        lag = Lag()
        measuring = asyncio.create_task(lag.measure())
        plan, analysis = await asyncio.gather(science.plan(plan_request(large)), science.analyse(request))
        measuring.cancel()
        assert plan.plan is not None
        assert len(plan.plan.trials) > 4000
        assert analysis.laws[0].coefficients
        assert lag.longest_s <= 0.05, f"the loop stood still for {1000 * lag.longest_s:.0f} ms"

    try:
        run(scenario)
    finally:
        gc.unfreeze()


def test_a_plan_that_takes_too_long_is_given_up_and_the_next_one_is_made() -> None:
    async def scenario(science: Science) -> None:
        await science.plan(plan_request(spec(sizes=1, tokens=1, seeds=1)))  # the process is up
        science._plans._limits = Limits(0.02, 2 * 2**30)
        before = children()
        answer = await science.plan(plan_request(spec(sizes=20, tokens=10, seeds=24)))
        assert answer.plan is None
        assert "more than 0.02 s" in str(answer.problems[0])
        assert before.isdisjoint(children())
        science._plans._limits = Limits(60, 2 * 2**30)
        assert (await science.plan(plan_request(spec(sizes=1, tokens=1, seeds=1)))).plan is not None

    run(scenario)


def test_a_plan_that_takes_too_much_memory_is_given_up() -> None:
    async def scenario(science: Science) -> None:
        answer = await science.plan(plan_request(spec(sizes=20, tokens=10, seeds=24)))
        assert answer.plan is None
        assert "memory" in str(answer.problems[0]) or "MiB" in str(answer.problems[0])

    run(scenario, limits=Limits(60, 2**20))


def test_a_process_that_is_killed_is_replaced() -> None:
    async def scenario(science: Science) -> None:
        small = spec(sizes=6, tokens=6, seeds=8)
        task = asyncio.create_task(science.analyse(AnalysisRequest(small, records(small))))
        while not children():
            await asyncio.sleep(0.01)
        for pid in children():
            os.kill(pid, signal.SIGKILL)
        answer = await task
        assert answer.laws == ()
        assert answer.failure is not None
        assert "SIGKILL" in answer.failure
        assert (await science.plan(plan_request(spec()))).plan is not None

    run(scenario)


def test_processes_without_work_end_and_closing_leaves_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(science_module, "IDLE_S", 0.2)

    async def scenario(science: Science) -> None:
        assert (await science.plan(plan_request(spec()))).plan is not None
        assert children()
        await asyncio.sleep(0.6)
        assert not children()
        assert (await science.plan(plan_request(spec()))).plan is not None

    run(scenario)
    assert not children()


def test_a_cancelled_request_leaves_no_answer_behind_for_the_next() -> None:
    async def scenario(science: Science) -> None:
        small, other = spec(sizes=6, tokens=6, seeds=8), spec(sizes=3, tokens=3)
        task = asyncio.create_task(science.analyse(AnalysisRequest(small, records(small))))
        await asyncio.sleep(1.0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        request = AnalysisRequest(other, records(other))
        assert (await science.analyse(request)).digest == request.digest

    run(scenario)


def test_a_process_that_nobody_reads_ends_without_a_word() -> None:
    command = [sys.executable, "-m", "scaling_operator.science_process", str(2**31)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stderr is not None
    with process:
        process.stdout.close()
        said = process.stderr.read()
    assert process.returncode == -signal.SIGPIPE
    assert said == b""
