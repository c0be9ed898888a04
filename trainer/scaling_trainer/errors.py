"""Errors of the trainer that mean something to the one who started the run.

    ValueError
    └── ConfigurationError        a person must act: no retry can help
        ├── ResultsFolderError    the results folder cannot be used
        └── DiskFullError         there is no room for results
    CheckpointError               a checkpoint cannot be used; `folder` says which
    ├── CheckpointMissingError    there is none
    └── CheckpointCorruptError    it is not what was written

Whose fault an error is, and so whether the trial is tried again, is decided in `executors.failures`.
"""

import errno
import shutil
from pathlib import Path
from typing import Final

DISK_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


class ConfigurationError(ValueError):
    """A person must act: the run stops with this sentence, and no trial is tried again."""

    is_configuration = True


class ResultsFolderError(ConfigurationError):
    """The results folder cannot be used; the sentence says why and what to do."""


class DiskFullError(ConfigurationError):
    """There is no room for results."""

    @classmethod
    def at(cls, folder: Path) -> "DiskFullError":
        """Return the error for the disk (or quota) that `folder` is on, with what is free and what to do."""
        return cls(
            f"There is no room left for results in {folder}: {_free_space(folder)}, and what was to be written needs "
            "more. Free some space there, or choose a folder on another disk, and run the experiment again: finished "
            "trials are kept."
        )

    @classmethod
    def on_node(cls, folder: Path) -> "DiskFullError":
        """Return the error for the disk of a node whose scratch folder is `folder`: results are kept elsewhere."""
        return cls(
            f"There is no room left in {folder}, where a node keeps the files of trials that run: {_free_space(folder)}"
            ". Give the node more room (resources.ephemeralStorage), and run the experiment again: finished trials are "
            "kept."
        )


class CheckpointError(Exception):
    """A checkpoint cannot be used; `folder` is where it was looked for, `fact` says what was found."""

    def __init__(self, folder: Path, fact: str, *, remedy: str = "") -> None:
        self.folder = folder
        self.fact = fact
        super().__init__(f"{fact} {remedy}".strip())


class CheckpointMissingError(CheckpointError):
    """There is no checkpoint in the folder."""


class CheckpointCorruptError(CheckpointError):
    """A file of the checkpoint is missing, or is not the one that was written."""


def _free_space(folder: Path) -> str:
    existing = next(parent for parent in (folder, *folder.parents) if parent.exists())
    usage = shutil.disk_usage(existing)
    quota = " (a quota or a limit on file sizes may be lower)" if usage.free > 2**26 else ""
    return f"{usage.free / 2**20:.1f} MiB of {usage.total / 2**20:,.1f} MiB are free{quota}"
