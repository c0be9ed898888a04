"""ScalingTrial: the record of one trial, resolved before it starts, measured when it ends."""

from typing import Annotated, Literal

from pydantic import Field

from scaling_api.rules import Rule, rule
from scaling_api.v1alpha1.base import ApiModel, Choice, Int, Many, ObjectName, Sha256, TrialId
from scaling_api.v1alpha1.compression import Pipeline
from scaling_api.v1alpha1.experiment import Metadata
from scaling_api.v1alpha1.status import TrialState
from scaling_api.v1alpha1.sweep import ComputeLevel, Treatment


class TrialKind(Choice):
    """What a trial does."""

    TRUNK = "Trunk"
    """Trains a segment at constant rate and leaves a checkpoint; it has no point."""
    DENSE = "Dense"
    """Decays a branch from its trunk segment and evaluates it: a point of the dense law."""
    CONTROL = "Control"
    """Trains the dense model on, exactly as a fine-tuned pipeline would: what the pipeline is compared with."""
    PIPELINE = "Pipeline"
    """Compresses a dense model: a paired penalty against its control."""


class ModelShape(ApiModel):
    """An architecture, resolved."""

    family: Annotated[str, Field(max_length=63)]
    """Such as decoder."""
    layers: Annotated[Int, Field(ge=1, le=4096)]
    """Blocks."""
    width: Annotated[Int, Field(ge=1, le=1_000_000)]
    """Size of the residual stream."""
    heads: Annotated[Int, Field(ge=1, le=65536)]
    """Attention heads."""
    context: Annotated[Int, Field(ge=1, le=10_000_000)]
    """Tokens seen at once."""
    vocabulary: Annotated[Int, Field(ge=1, le=100_000_000)]
    """Distinct tokens."""


class ParameterCounts(ApiModel):
    """N by every convention."""

    matmul: Annotated[Int, Field(ge=1)]
    """Blocks and head: the matrices that multiply. The N of plans, FLOPs and, unless asked otherwise, laws."""
    blocks: Annotated[Int, Field(ge=1)]
    """Matrices of the blocks."""
    total: Annotated[Int, Field(ge=1)]
    """Everything: blocks, head, embeddings, gains."""


class TrialSpec(ApiModel):
    """One trial, resolved: all that determines its numbers."""

    id: TrialId
    """Hash of everything that determines the result, and of nothing else."""
    kind: TrialKind
    """What it does."""
    task: Annotated[str, Field(max_length=63)]
    """Name of the task."""
    parents: Annotated[Many[TrialId], Field(max_length=4)] = ()
    """Trials whose checkpoints it starts from."""
    control: TrialId | None = None
    """Of a pipeline: the trial that it is compared with."""
    trajectory: TrialId
    """Shared by all trials that descend from one trunk: the cluster of the bootstrap."""
    model: ModelShape
    """The dense architecture."""
    parameters: ParameterCounts
    """Of the dense architecture."""
    tokens: Annotated[Int, Field(ge=1)]
    """D: training tokens seen when the trial ends, its parents' included."""
    start_step: Annotated[Int, Field(ge=0)]
    """Step at which the trial starts; 0 is a fresh model."""
    end_step: Annotated[Int, Field(ge=0)]
    """Step at which it ends."""
    flops: Annotated[float, Field(ge=0)]
    """Training FLOPs that the trial itself spends."""
    cumulative_flops: Annotated[float, Field(ge=0)]
    """C: training FLOPs of a model trained alone to this point."""
    treatment: Treatment
    """Data quality."""
    pipeline: Pipeline
    """Compression; without stages the dense model."""
    compute: ComputeLevel
    """Where and how it trains."""
    seed: Annotated[Int, Field(ge=0)]
    """Of initial weights and data order."""


class FailureClass(Choice):
    """Whose fault a failure was."""

    APPLICATION = "Application"
    INFRASTRUCTURE = "Infrastructure"
    CONFIGURATION = "Configuration"


class Failure(ApiModel):
    """Why an attempt ended without a result."""

    failure_class: FailureClass
    """Whose fault it was."""
    reason: Annotated[str, Field(max_length=63)]
    """One word, such as NonFiniteLoss or WorkerKilled."""
    message: Annotated[str, Field(max_length=1024)]
    """What happened and what to do."""


class FailedAttempts(ApiModel):
    """Attempts that ended without a result, by whose fault it was; each class has retries of its own."""

    application: Annotated[Int, Field(ge=0)] = 0
    """The trial's own."""
    infrastructure: Annotated[Int, Field(ge=0)] = 0
    """Lost workers and heads, storage that did not answer, and the like. Pauses are no failures."""

    def and_one(self, failure_class: FailureClass) -> "FailedAttempts":
        """Return the counts with one more."""
        if failure_class is FailureClass.INFRASTRUCTURE:
            return self.model_copy(update={"infrastructure": self.infrastructure + 1})
        return self.model_copy(update={"application": self.application + 1})


class TrialMetrics(ApiModel):
    """What was measured."""

    loss: float | None = None
    """Mean held-out loss in nats a token (a byte, for bytes). A trunk segment has none."""
    loss_standard_error: Annotated[float, Field(ge=0)] | None = None
    """Standard error of the mean over held-out documents."""
    bits_per_byte: float | None = None
    """The loss in bits a byte, for byte-level text."""
    accuracy: Annotated[float, Field(ge=0, le=1)] | None = None
    """Share of correct top-1 predictions."""
    documents: Annotated[Int, Field(ge=0)] | None = None
    """Held-out documents that the loss is over."""
    training_loss: float | None = None
    """Mean of the last training losses."""
    nonzero_parameters: Annotated[Int, Field(ge=0)] | None = None
    """Matmul parameters that are not zero."""
    effective_bits: Annotated[float, Field(ge=0)] | None = None
    """Stored bits a matmul parameter, scales and masks included."""
    stored_bytes: Annotated[Int, Field(ge=0)] | None = None
    """Bytes of the model as it would be served."""
    inference_flops: Annotated[float, Field(ge=0)] | None = None
    """Forward FLOPs a token, zeros left out."""


class Timings(ApiModel):
    """Where the time went, over all attempts of this epoch."""

    seconds: Annotated[float, Field(ge=0)]
    """From start to result."""
    training_seconds: Annotated[float, Field(ge=0)] = 0.0
    """In training steps."""
    tokens_per_second: Annotated[float, Field(ge=0)] | None = None
    """Training throughput."""


class Environment(ApiModel):
    """What it ran on."""

    python: Annotated[str, Field(max_length=63)]
    """Version."""
    torch: Annotated[str, Field(max_length=63)]
    """Version."""
    device: Annotated[str, Field(max_length=127)]
    """Such as cpu or NVIDIA H100."""
    threads: Annotated[Int, Field(ge=1)]
    """Threads of one process."""


class Checkpoint(ApiModel):
    """Where the model is kept."""

    path: Annotated[str, Field(max_length=2048)]
    """Relative to the experiment's storage."""
    sha256: Sha256
    """Of its manifest, which lists the hash of every file."""


class TrialStatus(ApiModel):
    """How a trial went."""

    state: TrialState = TrialState.PENDING
    """Where it stands."""
    attempts: Annotated[Int, Field(ge=0)] = 0
    """Attempts so far."""
    failed_attempts: FailedAttempts | None = None
    """How many of them failed, over all lives of the driver."""
    failure: Failure | None = None
    """Why the last attempt ended without a result."""
    metrics: TrialMetrics = TrialMetrics()
    """What was measured."""
    timings: Timings | None = None
    """Where the time went."""
    environment: Environment | None = None
    """What it ran on."""
    checkpoint: Checkpoint | None = None
    """Where the model is kept."""


class TrialMetadata(Metadata):
    """Kubernetes object metadata of a trial."""

    name: ObjectName
    """The experiment's name and the trial's id."""


class ScalingTrial(ApiModel):
    """The record of one trial, written by the operator alone."""

    api_version: Literal["scalinglaws.dev/v1alpha1"] = "scalinglaws.dev/v1alpha1"
    """scalinglaws.dev/v1alpha1."""
    kind: Literal["ScalingTrial"] = "ScalingTrial"
    """ScalingTrial."""
    metadata: TrialMetadata
    """Kubernetes object metadata."""
    spec: Annotated[TrialSpec, Rule("self == oldSelf", "spec is immutable: it is what the trial's id stands for")]
    """The trial, resolved. Immutable."""
    status: TrialStatus | None = None
    """How it went. Immutable once state is Succeeded, Failed, Diverged or Cached."""

    @rule(
        "!has(oldSelf.status) || !has(oldSelf.status.state) || "
        "!(oldSelf.status.state in ['Succeeded', 'Failed', 'Diverged', 'Cached']) || "
        "(has(self.status) && self.status == oldSelf.status)",
        "a finished trial's status is immutable: laws are fitted on it",
        field="status",
    )
    def _stays_finished(self) -> str | None:
        return None  # what was before is seen by the API server alone


class TrialRecord(ApiModel):
    """A trial and how it went: a row of the journal, of an export, of a table to fit."""

    spec: TrialSpec
    """The trial, resolved."""
    status: TrialStatus
    """How it went."""
