"""ScalingExperiment: one question, one object."""

from typing import Annotated, Literal, Self

from pydantic import ConfigDict, Field, model_validator

from scaling_api.v1alpha1.base import ApiModel
from scaling_api.v1alpha1.execution import Budget, Execution
from scaling_api.v1alpha1.laws import Ask, LawRequest
from scaling_api.v1alpha1.status import ExperimentStatus
from scaling_api.v1alpha1.sweep import Sweep
from scaling_api.v1alpha1.task import Task
from scaling_api.v1alpha1.training import Training


class ExperimentSpec(ApiModel):
    """The user's question: what to train, which laws to fit, what to answer, what it may cost."""

    task: Task
    """What is trained: exactly one task. Immutable."""
    sweep: Sweep
    """The set of trials that the experiment asks for."""
    training: Training = Training()
    """How every trial is trained and evaluated. Immutable."""
    laws: Annotated[tuple[LawRequest, ...], Field(max_length=16)] = (LawRequest(name="chinchilla", form="Chinchilla"),)
    """Which laws to fit."""
    ask: Ask = Ask()
    """Questions to answer from the laws."""
    budget: Budget = Budget()
    """Hard stops."""
    execution: Execution = Execution()
    """Where trials run, and how failures are met."""
    suspend: bool = False
    """True stops the cluster and keeps the results; true from the start only plans."""
    ttl_seconds_after_finished: Annotated[int, Field(ge=0, le=10**9)] | None = None
    """Removes the experiment and its records this long after its end, never what is in storage."""

    @model_validator(mode="after")
    def _names_refer(self) -> Self:
        names = [law.name for law in self.laws]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"law names must be unique, found twice: {', '.join(twice)}")
        pools = {pool.name for pool in self.execution.pools}
        unknown = sorted({c.pool for c in self.sweep.compute if c.pool is not None} - pools)
        if unknown:
            raise ValueError(f"sweep.compute names pools that execution.pools does not have: {', '.join(unknown)}")
        return self


class Metadata(ApiModel):
    """Kubernetes object metadata, as far as the command reads it."""

    model_config = ConfigDict(extra="allow")

    name: Annotated[str, Field(pattern=r"^[a-z]([-a-z0-9]*[a-z0-9])?$", max_length=42)]
    """At most 42 characters: letters, digits and dashes, a letter first."""
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
