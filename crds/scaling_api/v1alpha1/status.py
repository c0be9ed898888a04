"""The answer so far: a summary of at most 64 KiB, whatever the experiment's size."""

from typing import Annotated, Literal

from pydantic import Field

from scaling_api.rules import UniqueBy
from scaling_api.v1alpha1.base import ApiModel, Choice, Int, Many, Sha256, Time

Sentence = Annotated[str, Field(max_length=1024)]
Name = Annotated[str, Field(max_length=63)]


class TrialState(Choice):
    """Where a trial stands."""

    PENDING = "Pending"
    RUNNING = "Running"
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"
    DIVERGED = "Diverged"
    INTERRUPTED = "Interrupted"
    CACHED = "Cached"

    @property
    def is_finished(self) -> bool:
        """No further attempt will be made."""
        return self in {TrialState.SUCCEEDED, TrialState.FAILED, TrialState.DIVERGED, TrialState.CACHED}


class Condition(ApiModel):
    """metav1.Condition."""

    type: Annotated[str, Field(max_length=316)]
    """Accepted, Suspended, ClusterReady, TrialsComplete, Fitted, BudgetExhausted, Complete or Failed."""
    status: Literal["True", "False", "Unknown"]
    """True, False or Unknown."""
    observed_generation: Annotated[Int, Field(ge=0)] = 0
    """Generation of the spec that this speaks of."""
    last_transition_time: Time
    """When the status last flipped."""
    reason: Annotated[str, Field(max_length=1024)]
    """One word for programs."""
    message: Annotated[str, Field(max_length=32768)] = ""
    """Full sentences for people."""


class PlanStatus(ApiModel):
    """What the sweep will take, known before it starts."""

    trials: Annotated[Int, Field(ge=0)]
    """Trials in all: trunk segments, dense points, pipelines and their controls."""
    points: Annotated[Int, Field(ge=0)]
    """Trials with a loss, which laws are fitted on."""
    training_flops: Annotated[float, Field(ge=0)]
    """FLOPs to spend."""
    accelerator_hours: Annotated[float, Field(ge=0)] | None = None
    """Estimated accelerator-hours."""
    cost: Annotated[float, Field(ge=0)] | None = None
    """Estimated cost, where pools have a price."""


class TrialCounts(ApiModel):
    """Trials by state."""

    pending: Annotated[Int, Field(ge=0)] = 0
    """Waiting."""
    running: Annotated[Int, Field(ge=0)] = 0
    """In work."""
    succeeded: Annotated[Int, Field(ge=0)] = 0
    """Done, with a result; cached ones too."""
    failed: Annotated[Int, Field(ge=0)] = 0
    """Given up after their retries."""
    diverged: Annotated[Int, Field(ge=0)] = 0
    """Stopped for a loss that was not finite or above a uniform guess."""


class Spent(ApiModel):
    """What has been used up, by all attempts."""

    training_flops: Annotated[float, Field(ge=0)] = 0.0
    """FLOPs."""
    accelerator_seconds: Annotated[float, Field(ge=0)] = 0.0
    """Accelerator-seconds of workers' pods from start to end, idle ones too; core-seconds of pools without any."""
    cost: Annotated[float, Field(ge=0)] | None = None
    """Money, where pools have a price."""


class Coefficient(ApiModel):
    """One coefficient of a law. Numbers keep full double precision."""

    name: Name
    """Such as alpha."""
    value: float
    """The estimate."""
    standard_error: Annotated[float, Field(ge=0)] | None = None
    """Its standard error."""
    lower: float | None = None
    """Lower confidence limit."""
    upper: float | None = None
    """Upper confidence limit."""


class FindingStatus(ApiModel):
    """Something that the reader of a law must know."""

    code: Name
    """One word, such as WeaklyIdentified."""
    message: Sentence
    """What was seen and what to do."""


class LawStatus(ApiModel):
    """A fitted law, or why there is none."""

    name: Name
    """The law's name in the spec."""
    form: Name
    """Its functional form."""
    formula: Annotated[str, Field(max_length=256)] = ""
    """The form, written out."""
    parameters: Name | None = None
    """What N counts."""
    points: Annotated[Int, Field(ge=0)]
    """Points that it was fitted on."""
    objective: float | None = None
    """The minimised objective."""
    r_squared: float | None = None
    """Share of the variance explained."""
    confidence_level: float | None = None
    """Level of the intervals, such as 0.95."""
    interval_method: Name | None = None
    """How the intervals were made, such as WildClusterBootstrapT."""
    coefficients: Annotated[Many[Coefficient], Field(max_length=64), UniqueBy("name")] = ()
    """The estimates."""
    findings: Annotated[Many[FindingStatus], Field(max_length=32)] = ()
    """What the reader must know."""
    refused: Sentence | None = None
    """Why there is no law, where there is none."""


class Interval(ApiModel):
    """A value with its confidence limits."""

    value: float
    """The estimate."""
    lower: float | None = None
    """Lower confidence limit."""
    upper: float | None = None
    """Upper confidence limit."""


class PartStatus(Interval):
    """What one of the quantities in which two models differ contributes to the difference of their losses."""

    name: Name
    """Parameters, tokens, treatment or pipeline."""


class ProposalStatus(ApiModel):
    """Trials that are worth their cost, all alike."""

    kind: Name
    """Branch of a trunk that exists, Extension of one, or a new Trunk."""
    parameters: float
    """N."""
    tokens: float
    """D."""
    trials: Annotated[Int, Field(ge=1)]
    """How many of them, each of another trunk or seed."""
    training_flops: Annotated[float, Field(gt=0)]
    """Marginal FLOPs of all of them."""
    width: Annotated[float, Field(ge=0)]
    """Of the interval of the loss once these trials and those listed before have been added, in nats."""


class Answer(ApiModel):
    """The answer to one question of spec.ask."""

    law: Name
    """The law that answers."""
    question: Name
    """The field of spec.ask: trainingFlops, servingMemory, inferenceFlops, latency, attribute or nextTrials."""
    at: float
    """The budget or limit asked about; of attribute the place of the pair in spec.ask, from 1."""
    parameters: Interval | None = None
    """Best N."""
    tokens: Interval | None = None
    """Best D."""
    tokens_per_parameter: Interval | None = None
    """D/N at the best point."""
    training_flops: Annotated[float, Field(gt=0)] | None = None
    """Training FLOPs C of the best point: the budget, or the part of it that is worth spending."""
    loss: Interval | None = None
    """Expected loss in nats."""
    pipeline: Name | None = None
    """Best compression pipeline, for servingMemory."""
    models: Annotated[str, Field(max_length=320)] | None = None
    """attribute: the two models in words."""
    change: Interval | None = None
    """attribute: the difference of their losses in nats, negative where the second is better."""
    parts: Annotated[Many[PartStatus], Field(max_length=8)] = ()
    """attribute: what is due to what; the parts add up to the change."""
    interaction: Interval | None = None
    """attribute: what the quantities do together beyond what each does alone from the start."""
    width: Annotated[float, Field(ge=0)] | None = None
    """nextTrials: of the interval of the loss at trainingFlops as it is now, in nats."""
    proposals: Annotated[Many[ProposalStatus], Field(max_length=16)] = ()
    """nextTrials: the trials to add, in the order of their worth."""
    refused: Sentence | None = None
    """Why there is no answer, where there is none."""
    findings: Annotated[Many[FindingStatus], Field(max_length=8)] = ()
    """What the reader must know."""


class RayJobStatus(ApiModel):
    """The RayJob in use, or the last one. Written before the RayJob is created, so that no number is used twice."""

    name: Name
    """Its name: the experiment's and its number."""
    attempt: Annotated[Int, Field(ge=0)]
    """Its number, k, which only grows."""
    uid: Annotated[str, Field(max_length=63)] | None = None
    """Its uid, once it was seen: it is not created again."""
    execution: Sha256 | None = None
    """Hash of the part of spec.execution that it was made of. Another one takes another RayJob."""
    is_replay: bool = False
    """Without workers: its driver only serves rows that an ended one has left in storage."""
    failures: Annotated[Int, Field(ge=0)] = 0
    """RayJobs that ended too early, one after the other, since a trial finished."""
    last_failure: Sentence | None = None
    """How the last one of them ended."""
    not_before: Time | None = None
    """Created then at the earliest: after a failure, a pause that grows with their number."""
    epoch: Annotated[str, Field(max_length=63)] | None = None
    """The life of its driver that answered last."""
    is_collected: bool = False
    """Its driver rests, and every row of it has been recorded."""
    spent_before: Spent | None = None
    """What had been spent when it was numbered."""


class FitStatus(ApiModel):
    """What laws and answers were made of."""

    digest: Sha256
    """Hash of the finished trials, spec.sweep, spec.laws and spec.ask."""
    trials: Annotated[Int, Field(ge=0)]
    """Finished trials among them."""


class Summary(ApiModel):
    """The status in short, as `kubectl get` shows it. Programs read the numbers themselves."""

    trials: Annotated[str, Field(max_length=63)] = ""
    """Finished trials of all, such as 120/192."""
    loss: Annotated[str, Field(max_length=63)] = ""
    """Lowest loss so far in nats, rounded."""
    law: Annotated[str, Field(max_length=256)] = ""
    """Exponents of the first fitted law with their confidence limits, rounded."""
    spent: Annotated[str, Field(max_length=127)] = ""
    """Training FLOPs, accelerator-hours and cost, rounded."""


class ExperimentStatus(ApiModel):
    """The answer so far."""

    observed_generation: Annotated[Int, Field(ge=0)] = 0
    """Generation of the spec that this speaks of."""
    recipe_version: Annotated[Int, Field(ge=0)] | None = None
    """Version of the training recipe, pinned when the experiment was accepted."""
    corpus_fingerprint: Sha256 | None = None
    """SHA-256 of the corpus, pinned once it is known: trial ids depend on it."""
    started_at: Time | None = None
    """When the first driver answered: budget.wallTime counts from here."""
    finished_at: Time | None = None
    """When all was done, or given up: ttlSecondsAfterFinished counts from here."""
    conditions: Annotated[Many[Condition], Field(max_length=16), UniqueBy("type")] = ()
    """What is true of the experiment."""
    summary: Summary = Summary()
    """The status in short, as `kubectl get` shows it."""
    plan: PlanStatus | None = None
    """What the sweep will take."""
    trials: TrialCounts = TrialCounts()
    """Trials by state."""
    spent: Spent = Spent()
    """What has been used up."""
    best_loss: float | None = None
    """Lowest loss so far."""
    laws: Annotated[Many[LawStatus], Field(max_length=16), UniqueBy("name")] = ()
    """Fitted laws."""
    answers: Annotated[Many[Answer], Field(max_length=256)] = ()
    """Answers to spec.ask."""
    fitted: FitStatus | None = None
    """What laws and answers were made of."""
    ray_job: RayJobStatus | None = None
    """The RayJob in use, or the last one."""
    left_out: Sentence | None = None
    """What was left out to keep this status small, where something was."""
