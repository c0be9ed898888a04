"""A driver in memory: it runs the plan by dice, and its journal outlives it."""

from dataclasses import dataclass, field
from datetime import datetime
from random import Random

from scene import NOW, UID, infrastructure, loss_of

from scaling_api.driver_protocol import DriverPhase, DriverPlan, DriverState, Intent, Row
from scaling_api.v1alpha1.status import Spent, TrialState
from scaling_api.v1alpha1.trial import TrialMetrics, TrialRecord, TrialSpec, TrialStatus

LANES = 3


@dataclass
class Driver:
    """One life of a driver: it knows the journal and what it was told."""

    epoch: str
    journal: dict[str, TrialRecord]
    """In storage, shared with all other lives."""
    plan: DriverPlan | None = None
    rows: list[Row] = field(default_factory=list)
    running: dict[str, float] = field(default_factory=dict)
    is_answering: bool = True
    silent_since: datetime | None = None

    def __post_init__(self) -> None:
        for trial, known in list(self.journal.items()):
            if known.status.state is TrialState.RUNNING:
                self._journalled(known.spec, TrialState.INTERRUPTED, attempts=known.status.attempts)
            else:
                self._tell(self.journal[trial])

    def put(self, plan: DriverPlan) -> None:
        assert self.plan is None or plan.revision >= self.plan.revision
        assert plan.experiment == UID
        self.plan = plan

    def state(self) -> DriverState:
        return DriverState(
            epoch=self.epoch,
            experiment=UID,
            plan_hash=self.plan.hash if self.plan else None,
            phase=self._phase(),
            last_row=len(self.rows),
            spent=Spent(training_flops=sum(r.spec.flops for r in self.journal.values() if _is_done(r))),
            lanes=LANES,
            budget_exhausted=None if self._fits() else "budget.trainingFlops is used up.",
        )

    def work(self, rng: Random) -> None:
        """Begin what may begin, and end some of what runs."""
        if self.plan is None:
            return
        if self.plan.intent is not Intent.RUN:
            for trial in list(self.running):
                self._end(trial, TrialState.INTERRUPTED)
            return
        planned = {trial.id: trial for trial in self.plan.trials}
        for trial in list(self.running):
            if trial not in planned:
                self._end(trial, TrialState.INTERRUPTED)
            elif rng.random() < 0.2:
                failed = rng.random() < 0.05
                self._end(trial, TrialState.PENDING if failed else TrialState.SUCCEEDED)
        for trial in self._ready():
            if len(self.running) < LANES and self._fits():
                self.running[trial.id] = 0.0
                known = self.journal.get(trial.id)
                self._journalled(trial, TrialState.RUNNING, attempts=1 + (known.status.attempts if known else 0))

    def _ready(self) -> list[TrialSpec]:
        assert self.plan is not None
        done = {trial for trial, known in self.journal.items() if _is_done(known)}
        return [
            t for t in self.plan.trials
            if t.id not in done and t.id not in self.running and all(p in done for p in t.parents)
        ]  # fmt: skip

    def _fits(self) -> bool:
        if self.plan is None or self.plan.budget.training_flops is None:
            return True
        used = sum(
            known.spec.flops for trial, known in self.journal.items() if _is_done(known) or trial in self.running
        )
        return all(used + trial.flops <= self.plan.budget.training_flops for trial in self._ready()[:1])

    def _phase(self) -> DriverPhase:
        if self.plan is None:
            return DriverPhase.WAITING
        if self.plan.intent is Intent.STOP:
            return DriverPhase.STOPPING
        if self.running:
            return DriverPhase.RUNNING
        if self.plan.intent is Intent.PAUSE:
            return DriverPhase.PAUSED
        return DriverPhase.RUNNING if self._ready() and self._fits() else DriverPhase.FINISHED

    def _end(self, trial: str, state: TrialState) -> None:
        del self.running[trial]
        known = self.journal[trial]
        self._journalled(known.spec, state, attempts=known.status.attempts)

    def _journalled(self, spec: TrialSpec, state: TrialState, *, attempts: int) -> None:
        has_loss = state is TrialState.SUCCEEDED and spec.kind != "Trunk"
        status = TrialStatus(
            state=state,
            attempts=attempts,
            metrics=TrialMetrics(loss=loss_of(spec.id)) if has_loss else TrialMetrics(),
            failure=infrastructure() if state in {TrialState.INTERRUPTED, TrialState.PENDING} else None,
        )
        assert not _is_done(self.journal.get(spec.id)), f"{spec.id} was run again"
        self.journal[spec.id] = TrialRecord(spec=spec, status=status)
        self._tell(self.journal[spec.id])

    def _tell(self, record: TrialRecord) -> None:
        self.rows.append(Row(number=len(self.rows) + 1, at=NOW, record=record))


def _is_done(record: TrialRecord | None) -> bool:
    return record is not None and record.status.state is TrialState.SUCCEEDED
