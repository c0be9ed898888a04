"""What the steps of one pass hand on: the decision so far, and what they have found out."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import Enum
from typing import Any

from scaling_api.driver_protocol import Intent
from scaling_api.v1alpha1.execution import Execution
from scaling_api.v1alpha1.experiment import ExperimentSpec
from scaling_api.v1alpha1.status import ExperimentStatus, RayJobStatus
from scaling_api.v1alpha1.trial import Failure, TrialRecord, TrialSpec
from scaling_laws.design.plan import Plan
from scaling_operator.decision import Decision, Event, ObjectRef
from scaling_operator.desired.execution import effective_execution
from scaling_operator.desired.manifest import Manifest
from scaling_operator.failures import Verdict
from scaling_operator.observed import DriverAnswer, DriverSilence, Observed, RayJobSeen
from scaling_operator.planning import PlanAnswer


class Aim(Enum):
    """What the experiment needs a cluster for."""

    RUN = "to run trials"
    READ = "to read the rows that an ended RayJob has left in storage"
    REST = "for nothing"


@dataclass(frozen=True)
class Refusal:
    """Why the spec is not accepted."""

    reason: str
    message: str


@dataclass(frozen=True)
class Standing:
    """Where the cluster stands: what the condition ClusterReady says."""

    is_ready: bool
    reason: str
    message: str
    is_warning: bool = False


@dataclass(frozen=True)
class Draft:
    """One pass, half done. Steps return a new one; the observed never changes."""

    observed: Observed
    now: datetime
    """In whole seconds, as a status has it."""
    status: ExperimentStatus
    """As it will be."""
    decision: Decision = field(default_factory=Decision)
    is_done: bool = False
    """No further step is taken."""
    refusal: Refusal | None = None
    plan_answer: PlanAnswer | None = None
    """Of the spec as it is."""
    records: Mapping[str, TrialRecord] = field(default_factory=dict)
    """Trials as they will be recorded."""
    unfinished: Mapping[str, TrialSpec] = field(default_factory=dict)
    """Trials of the plan that are left."""
    exhausted: str | None = None
    """A sentence: which limit of the budget ended the sweep."""
    stop: Failure | None = None
    """Why the sweep was given up."""
    aim: Aim = Aim.REST
    intent: Intent | None = None
    """What the driver is to do; None leaves it as it is."""
    standing: Standing | None = None
    is_stopped: bool = False
    """No RayJob of the experiment is there."""

    @classmethod
    def of(cls, observed: Observed, now: datetime) -> "Draft":
        """Begin a pass."""
        status = observed.status.model_copy(update={"observed_generation": observed.identity.generation})
        return cls(observed, now.replace(microsecond=0), status=status, records=observed.trials)

    @property
    def spec(self) -> ExperimentSpec:
        """The spec, which an earlier step has found readable."""
        assert self.observed.spec is not None
        return self.observed.spec

    @property
    def execution(self) -> Execution:
        """Where trials run, the administrator's defaults filled in."""
        return effective_execution(self.spec.execution, self.observed.settings)

    @property
    def plan(self) -> Plan | None:
        """The plan, once the corpus is known and its ids are right."""
        answer = self.plan_answer
        return answer.plan if answer is not None and answer.corpus_fingerprint is not None else None

    @property
    def has_work(self) -> bool:
        """Whether trials are left, or not even known."""
        return self.plan is None or bool(self.unfinished)

    @property
    def ray_job(self) -> RayJobStatus | None:
        """The RayJob in use, as the status will have it."""
        return self.status.ray_job

    @property
    def written_ray_job(self) -> RayJobStatus | None:
        """The RayJob in use, as the status had it when the pass began: what is written outlives a crash."""
        return self.observed.status.ray_job

    @property
    def own_jobs(self) -> tuple[RayJobSeen, ...]:
        """The experiment's RayJobs that are there, deleted ones until they are gone."""
        return tuple(job for job in self.observed.ray_jobs if job.is_ours)

    @property
    def job(self) -> RayJobSeen | None:
        """The RayJob in use, where it is there."""
        number = self.ray_job.attempt if self.ray_job else None
        return next((job for job in self.own_jobs if job.attempt == number), None)

    @property
    def answer(self) -> DriverAnswer | None:
        """What the driver of the RayJob in use answers; None where it does not, or works for someone else."""
        seen = self.observed.driver
        if not isinstance(seen, DriverAnswer) or self.ray_job is None or seen.attempt != self.ray_job.attempt:
            return None
        return seen if seen.state.experiment in {None, self.observed.identity.uid} else None

    @property
    def silence(self) -> DriverSilence | None:
        """That the driver of the RayJob in use does not answer."""
        seen = self.observed.driver
        is_ours = isinstance(seen, DriverSilence) and self.ray_job is not None and seen.attempt == self.ray_job.attempt
        return seen if is_ours and isinstance(seen, DriverSilence) else None

    def with_status(self, **fields: Any) -> "Draft":
        """Return the draft with fields of the next status set."""
        return replace(self, status=self.status.model_copy(update=fields))

    def with_ray_job(self, **fields: Any) -> "Draft":
        """Return the draft with fields of the RayJob in use set."""
        assert self.ray_job is not None
        return self.with_status(ray_job=self.ray_job.model_copy(update=fields))

    def telling(self, *events: Event) -> "Draft":
        """Return the draft with Events added."""
        return self._deciding(events=(*self.decision.events, *events))

    def failing(self, *failures: Failure) -> "Draft":
        """Return the draft with failures counted."""
        return self._deciding(failures=(*self.decision.failures, *failures))

    def applying(self, *manifests: Manifest) -> "Draft":
        """Return the draft with objects to apply."""
        return self._deciding(applies=(*self.decision.applies, *manifests))

    def creating(self, *manifests: Manifest) -> "Draft":
        """Return the draft with objects to create."""
        return self._deciding(creates=(*self.decision.creates, *manifests))

    def deleting(self, *refs: ObjectRef) -> "Draft":
        """Return the draft with objects to delete, each once."""
        new = tuple(ref for ref in refs if ref not in self.decision.deletes)
        return self._deciding(deletes=(*self.decision.deletes, *new))

    def later(self, seconds: float) -> "Draft":
        """Return the draft that looks again after so long at the latest."""
        known = self.decision.look_again_after_s
        return self._deciding(look_again_after_s=max(1.0, seconds) if known is None else min(known, max(1.0, seconds)))

    def _deciding(self, **fields: Any) -> "Draft":
        return replace(self, decision=replace(self.decision, **fields))


def warning(verdict: Verdict) -> Event:
    """Return the Event of a verdict."""
    return Event("Normal" if verdict.event_type == "Normal" else "Warning", verdict.reason, verdict.message)
