"""ScalingExperiment: one question, one object."""

from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from scaling_api.rules import Rule, UniqueBy, rule
from scaling_api.v1alpha1.base import NAME_LENGTH, NAME_MEANING, NAME_PATTERN, ApiModel, Int, Many, ShortName
from scaling_api.v1alpha1.execution import Budget, Execution
from scaling_api.v1alpha1.laws import Ask, LawRequest
from scaling_api.v1alpha1.status import ExperimentStatus
from scaling_api.v1alpha1.sweep import Sweep
from scaling_api.v1alpha1.task import Task
from scaling_api.v1alpha1.training import Training


def immutable(field: str) -> Rule:
    """Return the rule that the field keeps the value that it was created with."""
    return Rule("self == oldSelf", f"{field} is immutable; create another experiment for another {field}")


class ExperimentSpec(ApiModel):
    """The user's question: what to train, which laws to fit, what to answer, what it may cost."""

    task: Annotated[Task, immutable("task")]
    """What is trained: exactly one task. Immutable."""
    sweep: Sweep
    """The set of trials that the experiment asks for."""
    training: Annotated[Training, immutable("training")] = Training()
    """How every trial is trained and evaluated. Immutable."""
    laws: Annotated[Many[LawRequest], Field(max_length=16), UniqueBy("name")] = (
        LawRequest(name="chinchilla", form="Chinchilla"),
    )
    """Which laws to fit."""
    ask: Ask = Ask()
    """Questions to answer from the laws."""
    budget: Budget = Budget()
    """Hard stops."""
    execution: Execution = Execution()
    """Where trials run, and how failures are met."""
    suspend: bool = False
    """True stops the cluster and keeps the results; true from the start only plans."""
    ttl_seconds_after_finished: Annotated[Int, Field(ge=0, le=10**9)] | None = Field(
        default=None, json_schema_extra={"nullable": True}
    )
    """Removes the experiment and its records this long after its end, never what is in storage; null: never."""

    @rule(
        "self.sweep.compute.all(level, !has(level.pool) || self.execution.pools.exists(pool, pool.name == level.pool))",
        "every pool of sweep.compute must be one of execution.pools",
        field="sweep.compute",
    )
    def _pools_exist(self) -> str | None:
        pools = {pool.name for pool in self.execution.pools}
        return ", ".join(sorted({c.pool for c in self.sweep.compute if c.pool is not None} - pools)) or None


class Metadata(ApiModel):
    """Kubernetes object metadata, as far as the command reads it."""

    model_config = ConfigDict(extra="allow")

    name: ShortName
    """At most 42 characters: lower-case letters, digits and dashes, a letter first."""
    namespace: Annotated[str, Field(max_length=63)] | None = None
    """Namespace in a cluster."""


class ScalingExperiment(ApiModel):
    """A scaling experiment: the operator plans the sweep, runs it, and writes the laws into the status."""

    api_version: Literal["scalinglaws.dev/v1alpha1"] = "scalinglaws.dev/v1alpha1"
    """scalinglaws.dev/v1alpha1."""
    kind: Literal["ScalingExperiment"] = "ScalingExperiment"
    """ScalingExperiment."""
    metadata: Metadata
    """Kubernetes object metadata."""
    spec: ExperimentSpec
    """The user's question."""
    status: ExperimentStatus | None = None
    """The answer so far; written by the operator alone."""

    @rule(
        f"size(self.metadata.name) <= {NAME_LENGTH} && self.metadata.name.matches('{NAME_PATTERN}')",
        f"must be {NAME_MEANING.format(NAME_LENGTH)}",
        field="metadata.name",
    )
    def _name_is_short(self) -> str | None:
        """Leave it to the name's type: only the API server must check metadata from the root."""
