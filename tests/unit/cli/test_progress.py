from pathlib import Path

import pytest
from cli_testing import EXPERIMENT, write
from fake_executor import FAILED, measured

from scaling_api.v1alpha1.status import TrialState
from scaling_api.v1alpha1.trial import TrialRecord, TrialSpec, TrialStatus
from scaling_cli.progress import RunProgress, describe
from scaling_cli.show.numbers import count, duration, power, significant
from scaling_cli.show.progress import headline
from scaling_trainer.executors.base import AttemptFailed, TrialEnded, TrialProgress, TrialStarted


@pytest.fixture
def trials(tmp_path: Path) -> tuple[TrialSpec, ...]:
    from scaling_cli.experiments import load_experiment
    from scaling_cli.planning import plan_locally

    return plan_locally(load_experiment(str(write(tmp_path, EXPERIMENT)))).plan.trials[:10]


def ended(trial: TrialSpec, state: TrialState = TrialState.SUCCEEDED) -> TrialEnded:
    return TrialEnded(TrialRecord(spec=trial, status=TrialStatus(state=state, metrics=measured(trial))))


def test_progress_counts_steps_of_what_runs_and_what_is_done(trials: tuple[TrialSpec, ...]) -> None:
    progress = RunProgress.of(trials, {trial.id: 10.0 for trial in trials}, lanes=2, finished={trials[0].id})
    assert (progress.count, progress.fraction) == (1, pytest.approx(0.1))
    progress.take(TrialStarted(trials[1], 1, 0, resumed=False))
    half = (trials[1].start_step + trials[1].end_step) // 2
    progress.take(TrialProgress(trials[1], 0, half, trials[1].end_step))
    assert progress.fraction == pytest.approx(0.15, abs=0.002)
    progress.take(ended(trials[1]))
    assert (progress.count, progress.running) == (2, {})
    assert progress.fraction == pytest.approx(0.2)


def test_the_time_left_is_the_plan_at_first_and_then_what_was_measured(trials: tuple[TrialSpec, ...]) -> None:
    progress = RunProgress.of(trials, {trial.id: 1000.0 for trial in trials}, lanes=2, finished=())
    assert progress.seconds_left(0.0) == pytest.approx(5000.0)
    for trial in trials[:5]:
        progress.take(ended(trial))
    # Half of the work was planned to take 2,500 s and took four times as long; the other half will too.
    assert progress.seconds_left(10_000.0) == pytest.approx(10_000.0, rel=0.01)
    for trial in trials[5:]:
        progress.take(ended(trial))
    assert progress.seconds_left(20_000.0) == 0.0


def test_failures_are_told_and_counted_once(trials: tuple[TrialSpec, ...]) -> None:
    progress = RunProgress.of(trials, {trial.id: 1.0 for trial in trials}, lanes=1, finished=())
    progress.take(TrialStarted(trials[0], 1, 0, resumed=True))
    told = progress.take(AttemptFailed(trials[0], 1, FAILED))
    assert told == f"{describe(trials[0])}: attempt 1 failed. It was told to fail."
    assert progress.running == {}
    assert progress.take(ended(trials[1])) is None
    assert str(progress.take(ended(trials[0], TrialState.DIVERGED))).endswith(": diverged.")
    assert headline(progress, 61.0).startswith("2 of 10 trials, 1 failed, 20% of the work; 1 min 1 s so far, about ")


@pytest.mark.parametrize(
    ("number", "text"),
    [(0, "0"), (950, "950"), (999.6, "1k"), (30_000, "30k"), (1_249_000, "1.25M"), (70.2e9, "70.2B"),
     (3.2e15, "3.2e15"), (0.25, "0.25"), (4.57, "4.57")],
)  # fmt: skip
def test_counts_have_three_digits(number: float, text: str) -> None:
    assert count(number) == text


def test_other_numbers_and_times() -> None:
    assert [power(x) for x in (0.0, 1e17, 3.456e13, 8.96e12)] == ["0", "1e17", "3.46e13", "8.96e12"]
    assert [significant(x) for x in (None, 1.8172179, 2143.417, 1e-7, 6.47e11)] == [
        "–", "1.81722", "2143.42", "1.00000e-7", "6.47000e11",
    ]  # fmt: skip
    seconds = (0.2, 45.4, 125, 3600, 12_000, 187_200)
    assert [duration(s) for s in seconds] == ["under 1 s", "45 s", "2 min 5 s", "1 h", "3 h 20 min", "2 d 4 h"]


def test_a_short_plan_that_was_wrong_does_not_promise_a_soon_end(trials: tuple[TrialSpec, ...]) -> None:
    progress = RunProgress.of(trials, {trial.id: 1.0 for trial in trials}, lanes=4, finished=())
    assert progress.seconds_left(8.0) == pytest.approx(8.0)
    for trial in trials[:2]:
        progress.take(ended(trial))
    assert progress.seconds_left(31.0) == pytest.approx(31.0 * 8 / 2)
