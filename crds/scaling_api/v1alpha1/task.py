"""What is trained: exactly one task, its data and its shape."""

from typing import Annotated, Self

from pydantic import Field, model_validator

from scaling_api.v1alpha1.base import ApiModel, Uri

CustomOptions = Annotated[
    dict[Annotated[str, Field(max_length=63)], Annotated[str, Field(max_length=1024)]], Field(max_length=64)
]


class PythonCorpus(ApiModel):
    """Python source code that needs no download: the source of the pinned SymPy release, 25 MB."""


class Corpus(ApiModel):
    """Where the text comes from: exactly one source."""

    python: PythonCorpus | None = None
    """The built-in corpus of Python source code, the same bytes on every machine."""
    uri: Uri | None = None
    """A text file, a folder of text files, or a URI such as s3://bucket/corpus."""
    fingerprint: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] | None = None
    """SHA-256 that the corpus must have. Without it, whatever is found at the URI is fingerprinted."""

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if (self.python is None) == (self.uri is None):
            raise ValueError("exactly one of python, uri must be set")
        return self


class LanguageTask(ApiModel):
    """A decoder language model on the bytes of a corpus; the loss is in nats per byte."""

    corpus: Corpus
    """Where the text comes from."""
    context_length: Annotated[int, Field(ge=8, le=131072)] = 128
    """Bytes that the model sees at once."""


class DatasetTask(ApiModel):
    """A task on a labelled data set."""

    uri: Uri
    """The data set: a file, a folder, or a URI."""


class CustomTask(ApiModel):
    """A task from the user's own image."""

    entrypoint: Annotated[str, Field(pattern=r"^[A-Za-z_][\w.]*:[A-Za-z_]\w*$", max_length=253)]
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

    @model_validator(mode="after")
    def _one_task(self) -> Self:
        chosen = self.model_fields_set & set(type(self).model_fields)
        named = [name for name in type(self).model_fields if name in chosen and getattr(self, name) is not None]
        if len(named) != 1:
            raise ValueError(
                f"exactly one task must be set, found {', '.join(named) or 'none'}; the tasks are "
                + ", ".join(type(self).model_fields)
            )
        return self

    @property
    def name(self) -> str:
        """The task that is set, such as `language`."""
        return next(name for name in type(self).model_fields if getattr(self, name) is not None)
