"""Errors of the trainer that mean something to the one who started the run.

    ValueError
    └── ConfigurationError        a person must act: no retry can help
    CheckpointError               a checkpoint cannot be used; `folder` says which
    ├── CheckpointMissingError    there is none
    └── CheckpointCorruptError    it is not what was written

Whose fault an error is, and so whether the trial is tried again, is decided in `executors.failures`.
"""

from pathlib import Path


class ConfigurationError(ValueError):
    """A person must act: the run stops with this sentence, and no trial is tried again."""

    is_configuration = True


class CheckpointError(Exception):
    """A checkpoint cannot be used; `folder` is where it was looked for."""

    def __init__(self, folder: Path, message: str) -> None:
        self.folder = folder
        super().__init__(message)


class CheckpointMissingError(CheckpointError):
    """There is no checkpoint in the folder."""


class CheckpointCorruptError(CheckpointError):
    """A file of the checkpoint is missing, or is not the one that was written."""
