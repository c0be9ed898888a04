"""Where trials run, what they may spend, and how failures are met."""

from typing import Annotated

from pydantic import Field

from scaling_api.rules import Matches, Rule, UniqueBy, exactly_one, rule
from scaling_api.v1alpha1.base import ApiModel, Choice, Int, Many, NullIsAbsent, ObjectName, PoolName, Uri
from scaling_api.v1alpha1.quantities import Flops, KubeQuantity, Money

Labels = Annotated[
    dict[Annotated[str, Field(max_length=317)], Annotated[str, Field(max_length=63)]],
    Field(max_length=32),
    NullIsAbsent,
    Rule("self.all(label, size(label) <= 317)", "labels must have at most 317 characters"),
]
Duration = Annotated[
    str,
    Matches(
        r"^([0-9]+d)?([0-9]+h)?([0-9]+m)?([0-9]+s)?$",
        "a duration such as 90m, 12h or 1d12h",
        32,
        min_length=2,
    ),
]
VariableName = Annotated[
    str, Matches(r"^[A-Za-z_][A-Za-z0-9_]*$", "letters, digits and underscores, not starting with a digit", 253)
]


class TolerationOperator(Choice):
    """How a toleration matches a taint."""

    EXISTS = "Exists"
    EQUAL = "Equal"


class TaintEffect(Choice):
    """What a taint does to pods that do not accept it."""

    NO_SCHEDULE = "NoSchedule"
    PREFER_NO_SCHEDULE = "PreferNoSchedule"
    NO_EXECUTE = "NoExecute"


class Accelerator(ApiModel):
    """The accelerators of one node."""

    resource: Annotated[str, Field(max_length=253)] = "nvidia.com/gpu"
    """Kubernetes resource name."""
    per_node: Annotated[Int, Field(ge=1, le=64)] = 1
    """Accelerators a node."""
    num_of_hosts: Annotated[Int, Field(ge=1, le=1024)] = 1
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
    operator: TolerationOperator = TolerationOperator.EQUAL
    """Exists or Equal."""
    value: Annotated[str, Field(max_length=253)] | None = None
    """The taint's value, with Equal."""
    effect: TaintEffect | None = None
    """The taint's effect; without it, every effect."""
    toleration_seconds: Annotated[Int, Field(ge=0, le=10**9)] | None = None
    """With NoExecute: how long to stay."""

    @rule("has(self.key) || self.operator == 'Exists'", "without a key the operator must be Exists", field="operator")
    def _every_key_exists(self) -> str | None:
        return None if self.key or self.operator is TolerationOperator.EXISTS else self.operator

    @rule("!has(self.value) || self.operator == 'Equal'", "a value is for the operator Equal alone", field="value")
    def _value_is_compared(self) -> str | None:
        return None if self.value is None or self.operator is TolerationOperator.EQUAL else self.value

    @rule(
        "!has(self.tolerationSeconds) || (has(self.effect) && self.effect == 'NoExecute')",
        "tolerationSeconds is for the effect NoExecute alone",
        field="tolerationSeconds",
    )
    def _seconds_are_waited(self) -> str | None:
        is_used = self.toleration_seconds is None or self.effect is TaintEffect.NO_EXECUTE
        return None if is_used else str(self.toleration_seconds)


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
    tolerations: Annotated[Many[Toleration], Field(max_length=32)] = ()
    """Taints that the pods accept."""
    min_nodes: Annotated[Int, Field(ge=0, le=10_000)] = 0
    """Nodes kept while the experiment runs."""
    max_nodes: Annotated[Int, Field(ge=1, le=10_000)] = 1
    """Nodes at most."""
    hourly_price: Money | None = None
    """Price of one accelerator (of one core, without accelerators) for an hour."""

    @rule("self.name != 'head'", "the name must not be head, which is the driver's own group", field="name")
    def _head_is_reserved(self) -> str | None:
        return "head" if self.name == "head" else None

    @rule("self.minNodes <= self.maxNodes", "minNodes must not be above maxNodes", field="minNodes")
    def _range_of_nodes(self) -> str | None:
        return f"{self.min_nodes} above {self.max_nodes}" if self.min_nodes > self.max_nodes else None


class Head(ApiModel):
    """The pod that runs the driver."""

    resources: Resources = Resources()
    """Of the head's pod."""
    node_selector: Labels = Field(default_factory=dict)
    """Labels that its node must have."""


class Retries(ApiModel):
    """How often a trial is tried again."""

    application: Annotated[Int, Field(ge=0, le=100)] = 1
    """After errors of its own."""
    infrastructure: Annotated[Int, Field(ge=0, le=1000)] = 10
    """After preemption, eviction, lost nodes or workers."""


class SecretKey(ApiModel):
    """A key of a Secret."""

    name: ObjectName
    """The Secret's name."""
    key: Annotated[str, Field(min_length=1, max_length=253)]
    """The key in it."""


class EnvironmentVariable(ApiModel):
    """A variable of the training containers."""

    name: VariableName
    """The variable's name."""
    value: Annotated[str, Field(max_length=4096)] | None = None
    """Its value."""
    secret_ref: SecretKey | None = None
    """Or the Secret that holds it."""

    @rule(exactly_one("value", "secretRef"), "exactly one of value, secretRef must be set")
    def _one_source(self) -> str | None:
        return self.given("value", "secret_ref") if (self.value is None) == (self.secret_ref is None) else None


class Storage(ApiModel):
    """Where checkpoints and results are kept."""

    uri: Uri | None = None
    """An fsspec URI, such as s3://bucket/prefix."""
    credentials_secret: ObjectName | None = None
    """Secret with the URI's credentials."""
    claim_name: ObjectName | None = None
    """Or a PersistentVolumeClaim."""

    @rule(exactly_one("uri", "claimName"), "exactly one of uri, claimName must be set")
    def _one_place(self) -> str | None:
        return self.given("uri", "claim_name") if (self.uri is None) == (self.claim_name is None) else None

    @rule(
        "!has(self.credentialsSecret) || has(self.uri)",
        "credentialsSecret is for a uri alone",
        field="credentialsSecret",
    )
    def _credentials_are_used(self) -> str | None:
        return self.credentials_secret if self.uri is None else None


class Execution(ApiModel):
    """Where trials run, and how failures are met."""

    pools: Annotated[Many[Pool], Field(max_length=9), UniqueBy("name")] = ()
    """Kinds of nodes; without them, the administrator's default pool."""
    parallel_trials: Annotated[Int, Field(ge=1, le=10_000)] | None = None
    """Trials at a time; without it, as many as there are lanes."""
    head: Head = Head()
    """The pod that runs the driver."""
    retries: Retries = Retries()
    """How often a trial is tried again."""
    max_failed_trials: Annotated[Int, Field(ge=0, le=10_000)] = 5
    """With more failed trials than this the experiment stops."""
    priority_class_name: ObjectName | None = None
    """PriorityClass of the pods."""
    service_account_name: ObjectName | None = None
    """ServiceAccount of the pods, such as one with access to a bucket; it must be one that the administrator allows."""
    env: Annotated[Many[EnvironmentVariable], Field(max_length=64), UniqueBy("name")] = ()
    """Variables of the training containers."""
    image: Annotated[str, Field(min_length=1, max_length=512)] | None = None
    """Trainer image; without it, the administrator's."""
    queue_name: ObjectName | None = None
    """Kueue LocalQueue."""
    storage: Storage | None = None
    """Where results are kept; without it, the namespace's shared claim."""


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
