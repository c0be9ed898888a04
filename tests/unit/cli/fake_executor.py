"""An executor that knows every trial's loss beforehand: no training, no processes."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from scaling_api.v1alpha1.status import TrialState
from scaling_api.v1alpha1.trial import (
    Failure,
    FailureClass,
    TrialKind,
    TrialMetrics,
    TrialRecord,
    TrialSpec,
    TrialStatus,
)
from scaling_trainer.executors.base import (
    AttemptFailed,
    Capacity,
    Event,
    LaneReplaced,
    Notice,
    Orders,
    Outcome,
    TrialEnded,
    TrialProgress,
    TrialStarted,
)
from scaling_trainer.journal import AttemptEnded, AttemptStarted
from scaling_trainer.results import ResultsFolder

FAILED = Failure(failure_class=FailureClass.APPLICATION, reason="Scripted", message="It was told to fail.")


@dataclass
class Script:
    """What the next run does."""

    fails: Callable[[TrialSpec], bool] = lambda trial: False
    interrupted_after: float = math.inf
    """Trials."""
    stopped: Failure | None = None
    ran: list[str] = field(default_factory=list)
    """Ids of trials that were run, over all runs."""
    lanes: int | None = None

    def executor(self, context: object, *, lanes: int, keep_open: Sequence[int]) -> "Script":
        """Stand in for the executor's class."""
        self.lanes = lanes
        return self

    def run(self, orders: Callable[[], Orders], *, ledger: ResultsFolder, on_event: Callable[[Event], None]) -> Outcome:
        """Run the trials, as far as the script lets it."""
        asked, results, done = orders(), ledger, 0
        trials = asked.trials
        on_event(Notice("The run begins."))
        on_event(LaneReplaced(1, "its process was lost."))
        for trial in trials:
            record = results.records().get(trial.id)
            if record is not None and record.status.state is TrialState.SUCCEEDED:
                continue
            if orders().is_paused or not asked.may_start(trial, ()):
                continue
            if done >= self.interrupted_after or (self.stopped and done):
                break
            done += 1
            self._run(trial, results, on_event)
        ids = {trial.id for trial in trials}
        records = {id_: record for id_, record in results.records().items() if id_ in ids}
        is_interrupted = done >= self.interrupted_after and len(records) < len(ids)
        return Outcome(records, is_interrupted, self.stopped, {0: 1.0, 1: 0.98}, 12.5)

    def capacity(self) -> dict[str, Capacity]:
        """Two cores."""
        return {"local": Capacity(1, 2)}

    def close(self) -> None:
        """There is nothing to let go of."""

    def _run(self, trial: TrialSpec, results: ResultsFolder, on_event: Callable[[Event], None]) -> None:
        self.ran.append(trial.id)
        started = datetime(2026, 11, 23, tzinfo=UTC)
        results.append(AttemptStarted(trial=trial.id, attempt=1, lane=0, at=started, flops=trial.flops))
        on_event(TrialStarted(trial, 1, 0, resumed=False))
        on_event(TrialProgress(trial, 0, trial.end_step, trial.end_step))
        is_failed = self.fails(trial)
        if is_failed:
            on_event(AttemptFailed(trial, 1, FAILED))
        status = TrialStatus(
            state=TrialState.FAILED if is_failed else TrialState.SUCCEEDED,
            attempts=1,
            failure=FAILED if is_failed else None,
            metrics=TrialMetrics() if is_failed or trial.kind is TrialKind.TRUNK else measured(trial),
        )
        record = TrialRecord(spec=trial, status=status)
        results.append(AttemptEnded(record=record, at=datetime(2026, 11, 23, tzinfo=UTC)))
        on_event(TrialEnded(record))


def measured(trial: TrialSpec) -> TrialMetrics:
    """Return the law L = 1.2 + 30/N^0.4 + 200/D^0.5, scattered by seed and penalised by pipeline."""
    N, D = trial.parameters.matmul, trial.tokens
    scatter = 0.004 * math.sin(hash((N, D, trial.seed)) % 1000)
    loss = (1.2 + 30 / N**0.4 + 200 / D**0.5) * math.exp(scatter)
    penalty = {"int3": 0.05, "p50": 0.1}.get(trial.pipeline.name, 0.0) * (1 + scatter)
    bits = {"int3": 3.5, "p50": 16.0}.get(trial.pipeline.name, 32.0)
    return TrialMetrics(
        loss=loss + penalty,
        loss_standard_error=0.01,
        bits_per_byte=(loss + penalty) / math.log(2),
        effective_bits=bits,
        stored_bytes=int(N * bits / 8),
        nonzero_parameters=N,
        inference_flops=2.0 * N,
    )
