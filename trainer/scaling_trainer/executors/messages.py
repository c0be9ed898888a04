"""What a run and the processes of its lanes say to each other: one JSON object a line, over pipes."""

from pathlib import Path
from typing import Annotated, Final, Literal, TypeAlias

from pydantic import Field, TypeAdapter

from scaling_api.v1alpha1.task import Task
from scaling_api.v1alpha1.training import Training
from scaling_api.v1alpha1.trial import Failure, TrialSpec, TrialStatus
from scaling_trainer.lines import Line


class Setup(Line):
    """The first line to a lane's process; each line after it is Work."""

    run: Annotated[str, Field(pattern=r"^[\w.]+:\w+$")]
    """The function that runs a trial, as module:function."""
    threads: int
    """Threads that it computes with."""
    task: Task
    training: Training
    corpus_fingerprint: str
    folder: Path
    """The results folder; with a store, a scratch folder of the lane's machine, made where it does not exist."""
    store: str | None = None
    """URI or path of the storage that checkpoints come from and go to; without it they stay in the folder."""
    checkpoint_interval_s: float
    accelerator: str | None = None
    """Kubernetes resource that the lane computes on; without it, the CPU."""
    cpu_fallback: bool = False
    """Compute on the CPU where the accelerator is missing."""


class Work(Line):
    """One attempt at a trial."""

    trial: TrialSpec
    attempt: str
    """A name that no other attempt at the trial has, over all epochs."""


class Ready(Line):
    """The function is imported; trials may come."""

    type: Literal["ready"] = "ready"


class Unusable(Line):
    """No trial can run here: the function cannot be imported, or the accelerator is not there. The process ends."""

    type: Literal["unusable"] = "unusable"
    failure: Failure


class Placed(Line):
    """All workers of the trial have their slots. Said of gangs alone."""

    type: Literal["placed"] = "placed"


class Progress(Line):
    """The trial has come to a step."""

    type: Literal["progress"] = "progress"
    step: int
    last_step: int


class Returned(Line):
    """The trial's function has returned; what it wrote is on disk."""

    type: Literal["returned"] = "returned"
    status: TrialStatus


class Raised(Line):
    """The trial's function has raised an exception."""

    type: Literal["raised"] = "raised"
    failure: Failure
    checkpoint: Path | None = None
    """The checkpoint that could not be used, where that is why."""


class Lost(Line):
    """The lane is no more; said by the one who looks after it."""

    type: Literal["lost"] = "lost"
    failure: Failure


Message: TypeAlias = Ready | Unusable | Placed | Progress | Returned | Raised | Lost
_MESSAGE: Final[TypeAdapter[Message]] = TypeAdapter(Annotated[Message, Field(discriminator="type")])


def parse_message(line: bytes | str) -> Message:
    """Return the message that a lane's process wrote."""
    return _MESSAGE.validate_json(line)
