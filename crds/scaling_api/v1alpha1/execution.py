"""Where trials run, what they may spend, and how failures are met."""

from typing import Annotated, Self

from pydantic import Field, model_validator

from scaling_api.v1alpha1.base import ApiModel, PoolName, Uri
from scaling_api.v1alpha1.quantities import Flops, Money

KubeQuantity = Annotated[str | int, Field(pattern=r"^[0-9.]+([eEinumkKMGTP]*[-+]?[0-9]*)$", max_length=32)]
LabelValue = Annotated[str, Field(max_length=253)]
Labels = Annotated[dict[Annotated[str, Field(max_length=317)], LabelValue], Field(max_length=32)]
Duration = Annotated[str, Field(pattern=r"^([0-9]+d)?([0-9]+h)?([0-9]+m)?([0-9]+s)?$", min_length=2, max_length=32)]


class Accelerator(ApiModel):
    """The accelerators of one node."""

    resource: Annotated[str, Field(max_length=253)] = "nvidia.com/gpu"
    """Kubernetes resource name."""
    per_node: Annotated[int, Field(ge=1, le=64)] = 1
    """Accelerators a node."""
    num_of_hosts: Annotated[int, Field(ge=1, le=1024)] = 1
    """TPU slices: hosts a slice."""
    topology: Annotated[str, Field(max_length=63)] | None = None
    """TPU slices: topology, such as 2x4."""


class Resources(ApiModel):
    """What one pod asks for."""

    cpu: KubeQuantity | None = None
    """Cores."""
    memory: KubeQuantity | None = None
    """Memory, such as 320Gi."""
    ephemeral_storage: KubeQuantity | None = None
    """Local disk."""
    shared_memory: KubeQuantity | None = None
    """Size of /dev/shm."""


class Toleration(ApiModel):
    """A taint that a pod accepts."""

    key: Annotated[str, Field(max_length=317)] | None = None
    """The taint's key; without it, every key."""
    operator: Annotated[str, Field(pattern="^(Exists|Equal)$", max_length=8)] = "Equal"
    """Exists or Equal."""
    value: Annotated[str, Field(max_length=253)] | None = None
    """The taint's value, with Equal."""
    effect: Annotated[str, Field(pattern="^(NoSchedule|PreferNoSchedule|NoExecute)$", max_length=32)] | None = None
    """The taint's effect; without it, every effect."""
    toleration_seconds: Annotated[int, Field(ge=0)] | None = None
    """With NoExecute: how long to stay."""


class Pool(ApiModel):
    """A kind of node with its accelerators."""

    name: PoolName
    """How sweep.compute refers to it."""
    accelerator: Accelerator | None = None
    """The accelerators of one node; without it, the pool trains on CPU."""
    resources: Resources = Resources()
    """Of one node's pod."""
    node_selector: Labels = Field(default_factory=dict)
    """Labels that a node must have."""
    tolerations: Annotated[tuple[Toleration, ...], Field(max_length=32)] = ()
    """Taints that the pods accept."""
    min_nodes: Annotated[int, Field(ge=0, le=10_000)] = 0
    """Nodes kept while the experiment runs."""
    max_nodes: Annotated[int, Field(ge=1, le=10_000)] = 1
    """Nodes at most."""
    hourly_price: Money | None = None
    """Price of one accelerator (of one core, without accelerators) for an hour."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.name == "head":
            raise ValueError("the name head is reserved")
        if self.min_nodes > self.max_nodes:
            raise ValueError(f"minNodes {self.min_nodes} is above maxNodes {self.max_nodes}")
        return self


class Head(ApiModel):
    """The pod that runs the driver."""

    resources: Resources = Resources()
    """Of the head's pod."""
    node_selector: Labels = Field(default_factory=dict)
    """Labels that its node must have."""


class Retries(ApiModel):
    """How often a trial is tried again."""

    application: Annotated[int, Field(ge=0, le=100)] = 1
    """After errors of its own."""
    infrastructure: Annotated[int, Field(ge=0, le=1000)] = 10
    """After preemption, eviction, lost nodes or workers."""


class SecretKey(ApiModel):
    """A key of a Secret."""

    name: Annotated[str, Field(max_length=253)]
    """The Secret's name."""
    key: Annotated[str, Field(max_length=253)]
    """The key in it."""


class EnvironmentVariable(ApiModel):
    """A variable of the training containers."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$", max_length=253)]
    """The variable's name."""
    value: Annotated[str, Field(max_length=4096)] | None = None
    """Its value."""
    secret_ref: SecretKey | None = None
    """Or the Secret that holds it."""

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if (self.value is None) == (self.secret_ref is None):
            raise ValueError("exactly one of value, secretRef must be set")
        return self


class Storage(ApiModel):
    """Where checkpoints and results are kept."""

    uri: Uri | None = None
    """An fsspec URI, such as s3://bucket/prefix."""
    credentials_secret: Annotated[str, Field(max_length=253)] | None = None
    """Secret with the URI's credentials."""
    claim_name: Annotated[str, Field(max_length=253)] | None = None
    """Or a PersistentVolumeClaim."""

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        if (self.uri is None) == (self.claim_name is None):
            raise ValueError("exactly one of uri, claimName must be set")
        return self


class Execution(ApiModel):
    """Where trials run, and how failures are met."""

    pools: Annotated[tuple[Pool, ...], Field(max_length=9)] = ()
    """Kinds of nodes; without them, the administrator's default pool."""
    parallel_trials: Annotated[int, Field(ge=1, le=10_000)] | None = None
    """Trials at a time; without it, as many as there are lanes."""
    head: Head = Head()
    """The pod that runs the driver."""
    retries: Retries = Retries()
    """How often a trial is tried again."""
    max_failed_trials: Annotated[int, Field(ge=0, le=10_000)] = 5
    """With more failed trials than this the experiment stops."""
    priority_class_name: Annotated[str, Field(max_length=253)] | None = None
    """PriorityClass of the pods."""
    env: Annotated[tuple[EnvironmentVariable, ...], Field(max_length=64)] = ()
    """Variables of the training containers."""
    image: Annotated[str, Field(max_length=512)] | None = None
    """Trainer image; without it, the administrator's."""
    queue_name: Annotated[str, Field(max_length=253)] | None = None
    """Kueue LocalQueue."""
    storage: Storage | None = None
    """Where results are kept; without it, the namespace's shared claim."""

    @model_validator(mode="after")
    def _pools_are_unique(self) -> Self:
        names = [pool.name for pool in self.pools]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"pool names must be unique, found twice: {', '.join(twice)}")
        return self


class Budget(ApiModel):
    """Hard stops."""

    training_flops: Flops | None = None
    """FLOPs of all attempts."""
    accelerator_hours: Annotated[float, Field(gt=0, le=1e9)] | None = None
    """Accelerator-hours, idle ones too."""
    cost: Money | None = None
    """Money, in the unit of hourlyPrice."""
    wall_time: Duration | None = None
    """Time since the first start, such as 12h or 1h30m."""
