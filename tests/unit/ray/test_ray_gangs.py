"""Trials of several workers, on Ray Train: the loss of one process, the faults of any, slots shared with the others."""

from pathlib import Path

import pytest
from gang_trials import TRIALS, ddp_experiment, plan_of
from ray_runs import RayRun
from scripted_plan import trial, trial_id

from scaling_api.v1alpha1.execution import Execution, Retries
from scaling_api.v1alpha1.status import TrialState
from scaling_api.v1alpha1.trial import FailureClass
from scaling_trainer.context import TrialContext
from scaling_trainer.executors.base import AttemptFailed, Event, Orders, Outcome, TrialEnded, TrialStarted
from scaling_trainer.executors.local import LocalExecutor
from scaling_trainer.executors.ray.connection import Connection
from scaling_trainer.executors.ray.executor import RayExecutor
from scaling_trainer.results import ResultsFolder


def trained(folder: Path, workers: int, *, connection: Connection | None = None) -> Outcome:
    experiment = ddp_experiment(workers)
    trials, fingerprint = plan_of(experiment)
    context = TrialContext(experiment.spec.task, experiment.spec.training, fingerprint, folder)
    orders = Orders(0, trials[:TRIALS], experiment.spec.execution)
    executor = RayExecutor(context, connection=connection) if connection else LocalExecutor(context, lanes=1)
    with ResultsFolder.open(folder, experiment) as results:
        return executor.run(lambda: orders, ledger=results, on_event=lambda _: None)


@pytest.mark.slow
def test_two_workers_have_the_loss_of_one(ray_here: Connection, tmp_path: Path) -> None:
    together = trained(tmp_path / "two", 2, connection=ray_here)
    alone = trained(tmp_path / "one", 1)
    assert len(together.records) == TRIALS
    for two, one in zip(together.records.values(), alone.records.values(), strict=True):
        assert two.status.state is one.status.state is TrialState.SUCCEEDED
        assert two.status.metrics.training_loss == pytest.approx(one.status.metrics.training_loss or 0.0, rel=5e-7)
        assert two.status.metrics.documents == one.status.metrics.documents
        assert two.status.environment == one.status.environment
        if one.status.metrics.loss is not None:
            assert two.status.metrics.loss == pytest.approx(one.status.metrics.loss, rel=5e-7)


def test_both_kinds_share_two_slots(ray_here: Connection, tmp_path: Path) -> None:
    trials = [
        *(trial(f"single {i}", flops=2.0) for i in range(6)),
        trial("pair", workers=2, steps=4, flops=1.0),
        trial("last", "pair", flops=0.5),
    ]
    most, run = SlotsAtWork(), RayRun(ray_here, tmp_path, trials, function="gang_trials:run_trial")
    run.on_event = most.follow
    outcome = run()
    assert outcome.stopped is None
    assert {r.status.state for r in outcome.records.values()} == {TrialState.SUCCEEDED}
    assert most.most == 2


@pytest.mark.slow
def test_a_workers_fault_is_whose_it_is(ray_here: Connection, tmp_path: Path) -> None:
    pairs = [trial(f"pair {i}", workers=2, steps=4) for i in range(2)]
    script = {"pair 0": "every=1 fault=kill_second at=2 once", "pair 1": "fault=raise_second once"}
    execution = Execution(retries=Retries(application=1, infrastructure=1))
    run = RayRun(ray_here, tmp_path, pairs, script, execution, function="gang_trials:run_trial")
    outcome = run()
    assert {r.status.state for r in outcome.records.values()} == {TrialState.SUCCEEDED}
    failed = {e.trial.id: e.failure for e in run.of(AttemptFailed) if isinstance(e, AttemptFailed)}
    assert failed[trial_id("pair 0")].failure_class is FailureClass.INFRASTRUCTURE
    assert failed[trial_id("pair 0")].reason == "WorkerLost"
    assert failed[trial_id("pair 1")].failure_class is FailureClass.APPLICATION
    assert "the second worker's own mistake" in failed[trial_id("pair 1")].message
    resumed = [e.resumed for e in run.of(TrialStarted) if isinstance(e, TrialStarted) and e.trial.id == pairs[0].id]
    assert resumed == [False, True]


class SlotsAtWork:
    """How many slots trials hold, by what is told of them."""

    def __init__(self) -> None:
        self.most = 0
        self._held: dict[str, int] = {}

    def follow(self, event: Event) -> None:
        if isinstance(event, TrialStarted):
            self._held[event.trial.id] = event.trial.compute.workers
        elif isinstance(event, TrialEnded):
            del self._held[event.record.spec.id]
        self.most = max(self.most, sum(self._held.values()))


def test_a_gang_larger_than_its_pool_stops_the_run(ray_here: Connection, tmp_path: Path) -> None:
    stopped = RayRun(ray_here, tmp_path, [trial("a", workers=3)])().stopped
    assert stopped is not None
    assert stopped.reason == "PoolTooSmall"
    assert "has 3 workers, and the pool local has at most 2" in stopped.message
