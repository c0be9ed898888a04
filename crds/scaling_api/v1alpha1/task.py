"""What is trained: exactly one task, its data and its shape."""

from typing import Annotated

from pydantic import Field

from scaling_api.rules import Matches, Rule, exactly_one, rule
from scaling_api.v1alpha1.base import ApiModel, Int, NullIsAbsent, Sha256, Uri

CustomOptions = Annotated[
    dict[Annotated[str, Field(max_length=63)], Annotated[str, Field(max_length=1024)]],
    Field(max_length=64),
    NullIsAbsent,
    Rule("self.all(name, size(name) <= 63)", "names must have at most 63 characters"),
]
EntryPoint = Annotated[
    str,
    Matches(
        r"^[A-Za-z_][A-Za-z0-9_.]*:[A-Za-z_][A-Za-z0-9_]*$",
        "a module and a function in it, such as my_package.tasks:addition, at most 253 long",
        253,
    ),
]
TASKS = ("language", "classification", "translation", "vision", "detection", "speech", "custom")


class PythonCorpus(ApiModel):
    """Python source code that needs no download: the source of the pinned SymPy release, 25 MB."""


class Corpus(ApiModel):
    """Where the text comes from: exactly one source."""

    python: PythonCorpus | None = None
    """The built-in corpus of Python source code, the same bytes on every machine."""
    uri: Uri | None = None
    """A text file, a folder of text files, or a URI such as s3://bucket/corpus."""
    fingerprint: Sha256 | None = None
    """SHA-256 that the corpus must have. Without it, whatever is found at the URI is fingerprinted."""

    @rule(exactly_one("python", "uri"), "exactly one of python, uri must be set")
    def _one_source(self) -> str | None:
        return self.given("python", "uri") if (self.python is None) == (self.uri is None) else None


class LanguageTask(ApiModel):
    """A decoder language model on the bytes of a corpus; the loss is in nats per byte."""

    corpus: Corpus
    """Where the text comes from."""
    context_length: Annotated[Int, Field(ge=8, le=131072)] = 128
    """Bytes that the model sees at once."""


class DatasetTask(ApiModel):
    """A task on a labelled data set."""

    uri: Uri
    """The data set: a file, a folder, or a URI."""


class CustomTask(ApiModel):
    """A task from the user's own image."""

    entrypoint: EntryPoint
    """The task's factory, as module:function."""
    options: CustomOptions = Field(default_factory=dict)
    """Passed to the factory as they are."""


class Task(ApiModel):
    """What is trained: exactly one task."""

    language: LanguageTask | None = None
    """A decoder language model on bytes."""
    classification: DatasetTask | None = None
    """An encoder that classifies text."""
    translation: DatasetTask | None = None
    """A prefix language model that translates."""
    vision: DatasetTask | None = None
    """A network that classifies images."""
    detection: DatasetTask | None = None
    """A single-stage detector."""
    speech: DatasetTask | None = None
    """Speech recognition or synthesis."""
    custom: CustomTask | None = None
    """A task from the user's own image."""

    @rule(exactly_one(*TASKS), f"exactly one task must be set, of {', '.join(TASKS)}")
    def _one_task(self) -> str | None:
        return None if sum(getattr(self, task) is not None for task in TASKS) == 1 else self.given(*TASKS)

    @property
    def name(self) -> str:
        """The task that is set, such as `language`."""
        return next(task for task in TASKS if getattr(self, task) is not None)
