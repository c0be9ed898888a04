"""What one pass has read, frozen: all that `decide` knows.

The shell fills it in; nothing here reads anything. Times are aware datetimes. What cannot be seen (a kind that is not
installed, a driver that does not answer) is said as such and never stands for "there is none".
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, TypeAlias

from scaling_api.driver_protocol import DriverState, Row
from scaling_api.problems import Problem
from scaling_api.v1alpha1.experiment import ExperimentSpec
from scaling_api.v1alpha1.status import ExperimentStatus
from scaling_api.v1alpha1.trial import TrialRecord
from scaling_operator.fitting import AnalysisAnswer
from scaling_operator.planning import PlanAnswer
from scaling_operator.settings import AccessMode, Settings


@dataclass(frozen=True)
class Identity:
    """Which experiment."""

    namespace: str
    name: str
    uid: str
    generation: int
    """Of the spec that was read at the start of the pass."""


@dataclass(frozen=True)
class ConditionSeen:
    """A condition of someone else's object."""

    type: str
    status: str
    """True, False or Unknown."""
    reason: str = ""
    message: str = ""
    since: datetime | None = None


@dataclass(frozen=True)
class WarningSeen:
    """A Kubernetes Event of type Warning about one of the experiment's objects."""

    about: str
    """Kind and name, such as Pod/bytes-lm-a1-head-x7k2p."""
    reason: str
    """Such as FailedMount."""
    message: str
    at: datetime


@dataclass(frozen=True)
class ContainerSeen:
    """A container of a pod, init containers included."""

    name: str
    is_ready: bool = False
    waiting: str = ""
    """Reason why it waits, such as ImagePullBackOff."""
    waiting_message: str = ""
    terminated: str = ""
    """Reason of its end, or of its last end where it runs again, such as OOMKilled."""
    terminated_message: str = ""
    exit_code: int | None = None
    restarts: int = 0


@dataclass(frozen=True)
class PodSeen:
    """A pod of the RayCluster in use, or of an earlier one that is not gone yet."""

    name: str
    role: Literal["head", "worker"]
    phase: str
    """Pending, Running, Succeeded, Failed or Unknown."""
    attempt: int = 0
    """Number k of its RayJob."""
    pool: str | None = None
    """Of a worker."""
    is_ready: bool = False
    is_deleting: bool = False
    reason: str = ""
    """status.reason, such as Evicted."""
    message: str = ""
    conditions: tuple[ConditionSeen, ...] = ()
    """Such as PodScheduled and DisruptionTarget."""
    containers: tuple[ContainerSeen, ...] = ()
    node: str | None = None
    created_at: datetime | None = None
    started_at: datetime | None = None
    """status.startTime."""
    ended_at: datetime | None = None
    """When the last container ended, of a pod that has ended."""


@dataclass(frozen=True)
class RayClusterSeen:
    """The RayCluster of a RayJob."""

    name: str
    conditions: tuple[ConditionSeen, ...] = ()
    """Such as HeadPodReady, RayClusterProvisioned and ReplicaFailure."""


@dataclass(frozen=True)
class RayJobSeen:
    """A RayJob that is named as one of the experiment's."""

    name: str
    attempt: int
    """k, from the name."""
    uid: str
    is_ours: bool
    """Whether its controlling owner has the experiment's uid. One that is not ours is waited out, never adopted."""
    created_at: datetime
    is_deleting: bool = False
    is_suspended: bool = False
    """spec.suspend: by Kueue."""
    job_status: str = ""
    """PENDING, RUNNING, STOPPED, SUCCEEDED, FAILED, or empty."""
    deployment_status: str = ""
    """Initializing, Running, Complete, Failed, ValidationFailed, Suspending, Suspended, Retrying, Waiting, or empty."""
    reason: str = ""
    message: str = ""
    started_at: datetime | None = None
    ended_at: datetime | None = None
    cluster: RayClusterSeen | None = None


@dataclass(frozen=True)
class WorkloadSeen:
    """Kueue's Workload of the RayJob in use."""

    name: str
    conditions: tuple[ConditionSeen, ...] = ()
    """Such as QuotaReserved, Admitted, Evicted, Requeued and Finished."""


@dataclass(frozen=True)
class ClaimSeen:
    """The volume claim that results are kept on."""

    name: str
    phase: str
    """Pending, Bound or Lost."""
    is_deleting: bool = False
    mode: AccessMode | None = None
    """How many nodes may mount it, where that is known."""


@dataclass(frozen=True)
class SecretSeen:
    """The Secret that has the name of the driver's."""

    has_token: bool = True
    """Something can be read under its key: what a driver is started with."""
    is_foreign: bool = False
    """Another object owns it, such as an experiment of the same name that is gone: it will go as well."""


@dataclass(frozen=True)
class DriverAnswer:
    """A driver that answers, and its rows that no earlier pass has dealt with."""

    attempt: int
    """Number k of the RayJob whose head was asked."""
    state: DriverState
    """As it was before the rows were read: up to `state.last_row`, none is missing where `rows` reaches it."""
    read: int = 0
    """Number of the last row of this epoch that an earlier pass has dealt with; 0 for an epoch not seen before."""
    rows: tuple[Row, ...] = ()
    """Of `state.epoch`, after `read`, in order; possibly not all that there are."""
    refused: tuple[str, ...] = ()
    """Sentences: what of its answers could not be read since the last pass (too large, no JSON, not a number)."""


@dataclass(frozen=True)
class DriverSilence:
    """A driver that should answer and does not."""

    attempt: int
    """Number k of the RayJob whose head was asked."""
    since: datetime
    """The first failure of those that were not interrupted by an answer."""
    why: str
    """A clause, such as "connection refused"."""
    has_token: bool = True
    """False: it cannot even be asked, for the Secret with its token is gone."""


DriverSeen: TypeAlias = DriverAnswer | DriverSilence


@dataclass(frozen=True)
class Apis:
    """Which of other people's kinds the API server knows."""

    ray_job: bool = True
    kueue: bool = False


@dataclass(frozen=True)
class Usage:
    """What the other experiments of the namespace have running: those with a RayJob that has not ended."""

    experiments: int = 0
    accelerators: int = 0
    """Of all their pools at maxNodes."""


@dataclass(frozen=True)
class Observed:
    """Everything that one pass has read."""

    identity: Identity
    created_at: datetime
    spec: ExperimentSpec | None
    """None where it cannot be read: `problems` says why."""
    settings: Settings
    fresh_token: str
    """Random; for the Secret, where there is none."""
    problems: tuple[Problem, ...] = ()
    is_deleting: bool = False
    keeps_dependents: bool = False
    """It is being deleted, and what it has is to stay (`kubectl delete --cascade=orphan`)."""
    status: ExperimentStatus = field(default_factory=ExperimentStatus)
    """As last written."""
    trials: Mapping[str, TrialRecord] = field(default_factory=dict)
    """ScalingTrials, by trial id."""
    plan: PlanAnswer | None = None
    """The last plan that was made of this experiment; possibly of an earlier spec."""
    last_plan: PlanAnswer | None = None
    """The last answer that had a plan with right ids: what the driver works on, should the spec be refused now."""
    analysis: AnalysisAnswer | None = None
    """The last analysis that was made of this experiment; possibly of fewer trials."""
    ray_jobs: tuple[RayJobSeen, ...] = ()
    """All that are named as ours, of any attempt, deleted ones until they are gone."""
    pods: tuple[PodSeen, ...] = ()
    warnings: tuple[WarningSeen, ...] = ()
    """About the RayJobs, their RayClusters and pods, of the last hour."""
    workload: WorkloadSeen | None = None
    claim: ClaimSeen | None = None
    """The claim that the experiment's results are kept on, the namespace's shared one where the spec names none."""
    secret: SecretSeen | None = None
    """With the driver's token; None where there is none."""
    known_token: str | None = None
    """The running driver's, where this process still knows it: a lost Secret is made again of it."""
    applied: Mapping[str, str | None] = field(default_factory=dict)
    """Digest (annotation `decision.APPLIED_DIGEST`) of what was applied, by kind and name, such as
    NetworkPolicy/bytes-lm; None where the object has none."""
    driver: DriverSeen | None = None
    """None where no driver is to be asked: there is no running head."""
    winding_down_since: datetime | None = None
    """Since when passes have been taking the RayJob away, as far as this process remembers; None where they are not."""
    apis: Apis = Apis()
    others: Usage = Usage()
