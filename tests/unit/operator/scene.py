"""What a pass has observed, built by hand: a scene, and what a decision makes of it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

from scaling_api.driver_protocol import DriverPhase, DriverPlan, DriverState, Row
from scaling_api.v1alpha1.experiment import ExperimentSpec
from scaling_api.v1alpha1.status import Condition, ExperimentStatus, LawStatus, Spent, TrialState
from scaling_api.v1alpha1.trial import Failure, FailureClass, TrialMetrics, TrialRecord, TrialSpec, TrialStatus
from scaling_operator.decide import decide
from scaling_operator.decision import APPLIED_DIGEST, Decision
from scaling_operator.fitting import AnalysisAnswer, AnalysisRequest
from scaling_operator.observed import (
    Apis,
    ClaimSeen,
    ConditionSeen,
    DriverAnswer,
    DriverSilence,
    Identity,
    Observed,
    PodSeen,
    RayJobSeen,
    SecretSeen,
)
from scaling_operator.planning import PlanAnswer, PlanRequest, make_plan
from scaling_operator.settings import Settings

NOW = datetime(2026, 11, 30, 12, 0, tzinfo=UTC)
UID = "0d7f5c1e-6b2a-4b6e-9c55-2f4f6c7f9a10"
EPOCH = "000001-0123abcd"
SPEC: dict[str, Any] = {
    "task": {"language": {"corpus": {"python": {}}}},
    "sweep": {"model": {"parameters": [10_000, 20_000]}, "data": {"tokens": [300_000, 600_000]}},
}


def spec_of(changes: Mapping[str, Any] | None = None) -> ExperimentSpec:
    """Return a small spec with some fields, top level or one below, set otherwise."""
    merged = dict(SPEC)
    for name, value in (changes or {}).items():
        inner = merged.get(name)
        merged[name] = {**inner, **value} if isinstance(inner, dict) and isinstance(value, dict) else value
    return ExperimentSpec.model_validate(merged)


def identity(generation: int = 1) -> Identity:
    return Identity("lab", "bytes", UID, generation)


def seconds(number: float) -> timedelta:
    return timedelta(seconds=number)


_PLANS: dict[str, PlanAnswer] = {}


def answer_plan(request: PlanRequest) -> PlanAnswer:
    if request.digest not in _PLANS:
        _PLANS[request.digest] = make_plan(request)
    return _PLANS[request.digest]


def answer_analysis(request: AnalysisRequest) -> AnalysisAnswer:
    """Return an analysis without the hours of bootstrap: what decide does with it is all that matters."""
    points = len(request.records)
    laws = tuple(LawStatus(name=law.name, form=law.form, points=points) for law in request.spec.laws)
    return AnalysisAnswer(request.digest, trials=points, laws=laws)


@cache
def loss_of(trial: str) -> float:
    return 1.0 + int(trial[:6], 16) / 2**24


def record(spec: TrialSpec, state: TrialState, *, attempts: int = 1, failure: Failure | None = None) -> TrialRecord:
    has_result = state in {TrialState.SUCCEEDED, TrialState.CACHED}
    metrics = TrialMetrics(loss=loss_of(spec.id)) if has_result and spec.kind != "Trunk" else TrialMetrics()
    return TrialRecord(spec=spec, status=TrialStatus(state=state, attempts=attempts, metrics=metrics, failure=failure))


def infrastructure(reason: str = "WorkerLost") -> Failure:
    return Failure(failure_class=FailureClass.INFRASTRUCTURE, reason=reason, message=f"{reason} happened.")


def row(number: int, what: TrialRecord) -> Row:
    return Row(number=number, at=NOW, record=what)


def job(attempt: int = 1, **fields: Any) -> RayJobSeen:
    """Return a RayJob whose driver runs."""
    usual: dict[str, Any] = {
        "name": f"bytes-a{attempt}", "attempt": attempt, "uid": f"uid-{attempt}", "is_ours": True,
        "created_at": NOW - seconds(100), "job_status": "RUNNING", "deployment_status": "Running",
        "started_at": NOW - seconds(100),
    }  # fmt: skip
    return RayJobSeen(**{**usual, **fields})


def head(attempt: int = 1, **fields: Any) -> PodSeen:
    usual: dict[str, Any] = {"name": f"bytes-a{attempt}-head", "role": "head", "phase": "Running", "is_ready": True}
    return PodSeen(attempt=attempt, **{**usual, **fields})


def worker(number: int = 1, *, attempt: int = 1, pool: str = "cpu", **fields: Any) -> PodSeen:
    usual: dict[str, Any] = {"name": f"bytes-a{attempt}-{pool}-{number}", "phase": "Running", "is_ready": True}
    return PodSeen(attempt=attempt, role="worker", pool=pool, **{**usual, **fields})


def unscheduled(message: str) -> tuple[ConditionSeen, ...]:
    return (ConditionSeen("PodScheduled", "False", reason="Unschedulable", message=message),)


def state(phase: DriverPhase = DriverPhase.RUNNING, **fields: Any) -> DriverState:
    return DriverState(**{"epoch": EPOCH, "experiment": UID, "phase": phase, "lanes": 4, **fields})


def answer(phase: DriverPhase = DriverPhase.RUNNING, rows: Iterable[Row] = (), *, attempt: int = 1, **fields: Any
           ) -> DriverAnswer:  # fmt: skip
    """Return a driver's answer whose rows are all that it has."""
    told, read = tuple(rows), fields.pop("read", 0)
    last = told[-1].number if told else read
    return DriverAnswer(attempt, state(phase, **{"last_row": last, **fields}), read=read, rows=told)


def silence(since_s: float, *, attempt: int = 1) -> DriverSilence:
    return DriverSilence(attempt, since=NOW - seconds(since_s), why="connection refused")


@dataclass(frozen=True)
class Scene:
    """An observation, and the passes over it."""

    observed: Observed
    now: datetime = NOW

    @property
    def trials(self) -> tuple[TrialSpec, ...]:
        assert self.observed.plan is not None
        assert self.observed.plan.plan is not None
        return self.observed.plan.plan.trials

    @property
    def status(self) -> ExperimentStatus:
        return self.observed.status

    def condition(self, kind: str) -> Condition:
        return next(c for c in self.observed.status.conditions if c.type == kind)

    def says(self, kind: str) -> tuple[str, str]:
        found = self.condition(kind)
        return found.status, found.reason

    def but(self, **fields: Any) -> "Scene":
        """Return the scene with something else observed."""
        return replace(self, observed=replace(self.observed, **fields))

    def later(self, number: float) -> "Scene":
        return replace(self, now=self.now + seconds(number))

    def with_spec(self, changes: Mapping[str, Any]) -> "Scene":
        """Return the scene after the user has changed the spec."""
        generation = self.observed.identity.generation + 1
        return self.but(spec=spec_of(changes), identity=identity(generation))

    def with_status(self, **fields: Any) -> "Scene":
        return self.but(status=self.observed.status.model_copy(update=fields))

    def with_records(self, *records: TrialRecord) -> "Scene":
        return self.but(trials={**self.observed.trials, **{r.spec.id: r for r in records}})

    def all_finished(self, *, but: int = 0) -> "Scene":
        """Return the scene with every trial recorded, the last few left out."""
        return self.with_records(*(record(t, TrialState.SUCCEEDED) for t in self.trials[: len(self.trials) - but]))

    def decide(self) -> Decision:
        return decide(self.observed, now=self.now)

    def passed(self) -> "Scene":
        """Return the scene after one pass has been carried out."""
        return carried_out(self, self.decide())

    def settled(self, *, most: int = 12) -> "Scene":
        """Return the scene after passes until one writes nothing, though the driver may still be told something."""
        scene = self
        for _ in range(most):
            decision = scene.decide()
            if is_idle(replace(decision, message=None)):
                return scene
            scene = carried_out(scene, decision)
        raise AssertionError(f"it never comes to rest; at last {str(scene.decide())[:2000]}")


def is_idle(decision: Decision) -> bool:
    """Whether a decision writes nothing, tells nobody, and has nothing made."""
    parts = (decision.trials, decision.applies, decision.creates, decision.events, decision.deletes, decision.failures)
    others = (decision.message, decision.status, decision.wants_plan, decision.wants_analysis)
    return not any(parts) and all(part is None for part in others)


def scene(changes: Mapping[str, Any] | None = None, *, settings: Settings | None = None, **fields: Any) -> Scene:
    """Return an experiment that was just created and planned."""
    usual: dict[str, Any] = {
        "identity": identity(), "created_at": NOW, "spec": spec_of(changes), "settings": settings or Settings(),
        "fresh_token": "a-fresh-token",
    }  # fmt: skip
    made = Scene(Observed(**{**usual, **fields}))
    wanted = made.decide().wants_plan
    return made.but(plan=answer_plan(wanted)) if wanted else made


def running(changes: Mapping[str, Any] | None = None, **fields: Any) -> Scene:
    """Return an experiment whose first RayJob runs and whose driver follows the plan."""
    begun = scene(changes, **fields).settled()
    assert begun.observed.ray_jobs, begun.status
    begun = begun.but(ray_jobs=(job(uid=begun.observed.ray_jobs[0].uid),), pods=(head(),))
    return obeyed(begun.but(driver=answer(DriverPhase.WAITING)))


def obeyed(begun: Scene, phase: DriverPhase = DriverPhase.RUNNING, **fields: Any) -> Scene:
    """Return the scene after passes until the driver follows what it was told, and is at `phase`."""
    for _ in range(8):
        decision = begun.decide()
        if is_idle(decision):
            return begun
        begun = carried_out(begun, decision)
        if decision.message is not None:
            seen = begun.observed.driver
            assert isinstance(seen, DriverAnswer)
            update = {"plan_hash": decision.message.hash, "phase": phase, **fields}
            begun = begun.but(driver=replace(seen, state=seen.state.model_copy(update=update)))
    raise AssertionError(f"it never comes to rest; at last {str(begun.decide())[:2000]}")


def carried_out(scene: Scene, decision: Decision) -> Scene:
    """Return what is observed once a decision was carried out, and nothing else has happened."""
    observed = scene.observed
    fields: dict[str, Any] = {"trials": {**observed.trials, **{r.spec.id: r for r in decision.trials}}}
    if decision.status is not None:
        fields["status"] = ExperimentStatus.model_validate(decision.status.model_dump(mode="json"))
    applied = {_name(m): m["metadata"]["annotations"][APPLIED_DIGEST] for m in decision.applies}
    fields["applied"] = {**observed.applied, **applied}
    jobs = [j for j in observed.ray_jobs if j.uid not in {ref.uid for ref in decision.deletes}]
    for made in decision.creates:
        if made["kind"] == "RayJob":
            jobs.append(_created(made, scene.now))
        elif made["kind"] == "Secret":
            fields["secret"] = SecretSeen()
        else:
            fields["claim"] = ClaimSeen(made["metadata"]["name"], phase="Pending")
    fields["ray_jobs"] = tuple(jobs)
    fields["winding_down_since"] = (observed.winding_down_since or scene.now) if decision.is_winding_down else None
    if len(jobs) < len(observed.ray_jobs):
        fields["driver"], fields["pods"] = None, ()
    elif decision.cursor is not None and isinstance(observed.driver, DriverAnswer):
        fields["driver"] = replace(observed.driver, read=decision.cursor.number, rows=())
    if decision.wants_plan is not None:
        fields["plan"] = answer_plan(decision.wants_plan)
    if decision.wants_analysis is not None:
        fields["analysis"] = answer_analysis(decision.wants_analysis)
    return scene.but(**fields)


def hash_of(at: Scene) -> str:
    """Return the hash of the plan that the driver follows."""
    seen = at.observed.driver
    assert isinstance(seen, DriverAnswer)
    assert seen.state.plan_hash is not None
    return seen.state.plan_hash


def stopped(at: Scene) -> Scene:
    """Return the scene after a quiet driver was collected, stopped, and its RayJob deleted."""
    at = obeyed(at, DriverPhase.PAUSED)
    for _ in range(20):
        decision = at.decide()
        if is_idle(decision):
            return at
        at = at.passed()
        if decision.message is not None:
            read = at.observed.driver.read if isinstance(at.observed.driver, DriverAnswer) else 0
            at = at.but(driver=answer(DriverPhase.STOPPING, plan_hash=decision.message.hash, read=read))
    raise AssertionError(str(at.decide())[:2000])


def finished(at: Scene, **fields: Any) -> Scene:
    """Return the scene in which the driver has told that every trial has succeeded."""
    rows = [row(n + 1, record(trial, TrialState.SUCCEEDED)) for n, trial in enumerate(at.trials)]
    return at.but(driver=answer(DriverPhase.FINISHED, rows, plan_hash=hash_of(at), **fields))


def _created(manifest: Mapping[str, Any], now: datetime) -> RayJobSeen:
    name = manifest["metadata"]["name"]
    return RayJobSeen(
        name=name,
        attempt=int(name.rpartition("-a")[2]),
        uid=f"uid-of-{name}",
        is_ours=True,
        created_at=now,
        is_suspended=manifest["spec"]["suspend"],
    )


def _name(manifest: Mapping[str, Any]) -> str:
    return f"{manifest['kind']}/{manifest['metadata']['name']}"


__all__ = [
    "EPOCH", "NOW", "UID", "Apis", "DriverPhase", "DriverPlan", "Scene", "Spent", "answer", "answer_analysis",
    "answer_plan", "carried_out", "finished", "hash_of", "head", "identity", "infrastructure", "is_idle", "job",
    "loss_of", "obeyed", "record", "row", "running", "scene", "seconds", "silence", "spec_of", "state", "stopped",
    "unscheduled", "worker",
]  # fmt: skip
