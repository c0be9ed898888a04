"""A cluster in memory: an API server, KubeRay, storage and drivers, just as far as the operator can see them.

The operator may die between any two things that it writes. What it remembers dies with it: plans, analyses, how far
rows were read. Drivers, heads and RayJobs may be lost at any moment; storage and the API server are not.
"""

from base64 import b64decode
from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import datetime
from random import Random
from typing import Any

from fake_driver import Driver
from scene import NOW, answer_analysis, answer_plan, identity, seconds, spec_of

from scaling_api.driver_protocol import DriverPlan, Intent
from scaling_api.v1alpha1.status import ExperimentStatus
from scaling_api.v1alpha1.trial import TrialRecord
from scaling_operator.decide import decide
from scaling_operator.decision import APPLIED_DIGEST, Decision
from scaling_operator.fitting import AnalysisAnswer
from scaling_operator.observed import (
    ClaimSeen,
    DriverAnswer,
    DriverSeen,
    DriverSilence,
    Observed,
    PodSeen,
    RayJobSeen,
    SecretSeen,
)
from scaling_operator.planning import PlanAnswer
from scaling_operator.settings import Settings

SETTINGS = Settings()


class OperatorDiedError(Exception):
    """The operator was killed between two writes."""


@dataclass
class Job:
    """A RayJob, its head and its driver."""

    manifest: dict[str, Any]
    uid: str
    created_at: datetime
    token: str
    driver: Driver | None = None
    status: str = ""
    is_deleting: bool = False

    @property
    def name(self) -> str:
        name: str = self.manifest["metadata"]["name"]
        return name

    @property
    def attempt(self) -> int:
        return int(self.name.rpartition("-a")[2])

    @property
    def has_workers(self) -> bool:
        return bool(self.manifest["spec"]["rayClusterSpec"]["workerGroupSpecs"])

    def seen(self) -> RayJobSeen:
        ended = self.status in {"SUCCEEDED", "FAILED"}
        return RayJobSeen(
            name=self.name,
            attempt=self.attempt,
            uid=self.uid,
            is_ours=True,
            created_at=self.created_at,
            is_deleting=self.is_deleting,
            job_status=self.status,
            deployment_status={"SUCCEEDED": "Complete", "FAILED": "Failed", "": "Initializing"}.get(
                self.status, "Running"
            ),
            reason="AppFailed" if self.status == "FAILED" else "",
            message="Job entrypoint command failed with exit code 1" if self.status == "FAILED" else "",
            started_at=self.created_at if not ended else None,
        )


@dataclass
class World:
    """Everything, and the dice."""

    rng: Random
    changes: dict[str, Any] = field(default_factory=dict)
    generation: int = 1
    now: datetime = NOW
    status: ExperimentStatus = field(default_factory=ExperimentStatus)
    trials: dict[str, TrialRecord] = field(default_factory=dict)
    jobs: list[Job] = field(default_factory=list)
    journal: dict[str, TrialRecord] = field(default_factory=dict)
    epochs: int = 0
    secret: str | None = None
    applied: dict[str, str] = field(default_factory=dict)
    claim: ClaimSeen | None = None
    # What the operator remembers, until it dies.
    plan: PlanAnswer | None = None
    analysis: AnalysisAnswer | None = None
    read: dict[str, int] = field(default_factory=dict)
    token: str | None = None
    tokenless_since: datetime | None = None
    winding_down_since: datetime | None = None
    # What must never happen, counted.
    finished_writes: Counter[str] = field(default_factory=Counter)
    created_names: Counter[str] = field(default_factory=Counter)
    writes: int = 0
    deaths: int = 0

    def observed(self) -> Observed:
        if self.token is None or not any(job.driver for job in self.jobs):
            self.token = self.secret
        return Observed(
            identity=identity(self.generation),
            created_at=NOW,
            spec=spec_of(self.changes),
            settings=SETTINGS,
            fresh_token=f"fresh-{self.writes}",
            status=self.status,
            trials=dict(self.trials),
            plan=self.plan,
            analysis=self.analysis,
            ray_jobs=tuple(job.seen() for job in self.jobs),
            pods=tuple(self._head(job) for job in self.jobs if job.driver is not None),
            secret=None if self.secret is None else SecretSeen(),
            known_token=self.token,
            winding_down_since=self.winding_down_since,
            applied=dict(self.applied),
            claim=self.claim,
            driver=self._driver(),
        )

    def reconcile(self, *, may_die: bool) -> Decision:
        """Run one pass; the operator may die in it, and forgets everything then."""
        observed = self.observed()
        decision = decide(observed, now=self.now)
        assert decision == decide(observed, now=self.now)
        since = self.winding_down_since or self.now
        self.winding_down_since = since if decision.is_winding_down else None
        try:
            self._perform(decision, may_die=may_die)
        except OperatorDiedError:
            self.deaths += 1
            self.forget()
        return decision

    def forget(self) -> None:
        """Begin as another process of the operator."""
        self.plan, self.analysis, self.read = None, None, {}
        self.token, self.tokenless_since, self.winding_down_since = None, None, None

    def elapse(self, number: float, *, faults: bool) -> None:
        """Let time pass: RayJobs come up, drivers work and, with faults, are lost."""
        self.now += seconds(number)
        self.jobs = [job for job in self.jobs if not job.is_deleting]
        for job in self.jobs:
            self._advance(job)
            if faults:
                self._strike(job)
        if faults and self.rng.random() < 0.03:
            self.secret = None  # someone deletes it

    def _advance(self, job: Job) -> None:
        if job.status == "" and self.rng.random() < 0.6:
            job.status, job.driver = "RUNNING", self._new_driver()
        driver = job.driver
        if driver is None or job.status in {"SUCCEEDED", "FAILED"}:
            return
        if driver.plan is not None and driver.plan.intent is Intent.STOP:
            job.status, job.driver = "SUCCEEDED", None
            return
        if job.has_workers or (driver.plan and driver.plan.intent is not Intent.RUN):
            driver.work(self.rng)

    def _strike(self, job: Job) -> None:
        dice = self.rng.random()
        driver = job.driver
        if driver is not None and dice < 0.03:  # head lost: KubeRay submits the driver again
            job.driver = self._new_driver()
        elif driver is not None and dice < 0.05:  # the driver's end is the RayJob's
            job.status, job.driver = "FAILED", None
        elif dice < 0.06 and self.status.ray_job is not None and self.status.ray_job.uid == job.uid:
            self.jobs.remove(job)  # someone deletes it
        elif driver is not None and dice < 0.10:
            driver.is_answering, driver.silent_since = not driver.is_answering, self.now
        elif driver is not None and not driver.is_answering and dice < 0.4:
            driver.is_answering = True

    def _new_driver(self) -> Driver:
        self.epochs += 1
        return Driver(f"{self.epochs:06d}-{self.rng.getrandbits(32):08x}", self.journal)

    def _driver(self) -> DriverSeen | None:
        job = next((j for j in self.jobs if j.driver is not None and not j.is_deleting), None)
        if job is None or job.driver is None:
            return None
        driver = job.driver
        if self.token is None:
            self.tokenless_since = self.tokenless_since or self.now
            return DriverSilence(job.attempt, since=self.tokenless_since, why="the Secret is gone", has_token=False)
        self.tokenless_since = None
        assert self.token == job.token, "a driver was asked with the token of another"
        if not driver.is_answering:
            assert driver.silent_since is not None
            return DriverSilence(job.attempt, since=driver.silent_since, why="timeout")
        read = self.read.get(driver.epoch, 0)
        most = self.rng.choice([1, 3, 500])
        return DriverAnswer(job.attempt, driver.state(), read=read, rows=tuple(driver.rows[read : read + most]))

    def _perform(self, decision: Decision, *, may_die: bool) -> None:
        def step() -> None:
            if may_die and self.rng.random() < 0.06:
                raise OperatorDiedError

        for record in decision.trials:
            step()
            self._write_trial(record)
        if decision.cursor is not None:
            self.read[decision.cursor.epoch] = decision.cursor.number
        for manifest in (*decision.applies, *decision.creates):
            step()
            self._write_object(manifest)
        step()
        self._put(decision.message)
        step()
        if decision.status is not None:
            self.writes += 1
            self.status = ExperimentStatus.model_validate(decision.status.model_dump(mode="json"))
        for ref in decision.deletes:
            step()
            self.writes += 1
            self.jobs = [self._deleted(job) if job.uid == ref.uid else job for job in self.jobs]
        if decision.wants_plan:
            self.plan = answer_plan(decision.wants_plan)
        if decision.wants_analysis:
            self.analysis = answer_analysis(decision.wants_analysis)

    def _deleted(self, job: Job) -> Job:
        return replace(job, is_deleting=True, driver=None)

    def _write_trial(self, record: TrialRecord) -> None:
        self.writes += 1
        known = self.trials.get(record.spec.id)
        assert known is None or not known.status.state.is_finished, "a finished trial was changed"
        self.finished_writes[record.spec.id] += record.status.state.is_finished
        self.trials[record.spec.id] = record

    def _write_object(self, manifest: dict[str, Any]) -> None:
        self.writes += 1
        kind, name = manifest["kind"], manifest["metadata"]["name"]
        if kind == "RayJob":
            alive = [job.name for job in self.jobs if not job.is_deleting]
            assert not alive, f"{name} was created beside {alive}"
            self.created_names[name] += 1
            assert self.secret is not None
            uid = f"uid-{self.rng.getrandbits(48):x}"
            self.jobs.append(Job(manifest, uid=uid, created_at=self.now, token=self.secret))
        elif kind == "Secret":
            self.secret = self.secret or b64decode(manifest["data"]["token"]).decode()
        elif kind == "PersistentVolumeClaim":
            self.claim = ClaimSeen(name, phase="Bound")
        else:
            self.applied[f"{kind}/{name}"] = manifest["metadata"]["annotations"][APPLIED_DIGEST]

    def _put(self, message: DriverPlan | None) -> None:
        job = next((j for j in self.jobs if j.driver is not None and not j.is_deleting), None)
        if message is not None and job is not None and job.driver is not None and job.driver.is_answering:
            assert self.status.plan is not None, "the plan is in the status before anything is spent"
            job.driver.put(message)

    @staticmethod
    def _head(job: Job) -> PodSeen:
        return PodSeen(f"{job.name}-head", "head", "Running", attempt=job.attempt, is_ready=True)


def run(world: World, *, passes: int, faults_until: int, changes: dict[int, dict[str, Any]] | None = None) -> int:
    """Let the operator and everything else take turns until the experiment is over; return the passes that it took."""
    for number in range(passes):
        if changes and number in changes:
            world.changes, world.generation = changes[number], world.generation + 1
        has_faults = number < faults_until
        decision = world.reconcile(may_die=has_faults)
        is_over = world.status.finished_at is not None and not world.jobs
        if is_over and number >= max(changes or {0: 0}) and decision.status is None and not has_faults:
            return number
        world.elapse(world.rng.choice([0.2, 2, 30]), faults=has_faults)
    raise AssertionError(f"not over after {passes} passes: {world.status.conditions}")
