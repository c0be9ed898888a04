"""The results folder of one experiment.

    experiment.json          the experiment, as it was last run
    plan.json                the plan, where the command has written it
    journal/<epoch>.jsonl    what was begun and what came of it; one file a run
    trials/<id>/             a trial's checkpoints and measurements
    corpus/                  the text, prepared for training
    logs/                    what the lanes' processes printed
    lock                     held while a run is going on, by its processes

Files that others have put there are left alone, and so is the corpus, when an experiment starts afresh.
"""

import contextlib
import errno
import fcntl
import json
import os
import shutil
import socket
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from pydantic import ValidationError

from scaling_api.problems import problems_of
from scaling_api.v1alpha1.experiment import ScalingExperiment
from scaling_api.v1alpha1.trial import FailedAttempts, TrialRecord, TrialStatus
from scaling_trainer.checkpoint import MANIFEST, check_checkpoint
from scaling_trainer.durable import make_folder, sync_folder, write_whole
from scaling_trainer.errors import DISK_FULL, CheckpointError, DiskFullError, ResultsFolderError
from scaling_trainer.executors.base import Remains
from scaling_trainer.journal import (
    AttemptStarted,
    Journal,
    JournalWriter,
    Row,
    add_result,
    attempts_of,
    epoch_file,
    epoch_files,
    read_journal,
    results_of,
)
from scaling_trainer.spending.amounts import Spending
from scaling_trainer.spending.expenses import Expenses

_EXPERIMENT: Final = "experiment.json"
_LOCK: Final = "lock"
_OURS: Final = ("journal", "trials", "logs", "plan.json", _EXPERIMENT)
# The processes of a killed run die a moment after it.
_LOCK_PATIENCE_S: Final = 3.0


class ResultsFolder:
    """The results of one experiment: opened to run it, or only read."""

    def __init__(
        self, path: Path, experiment: ScalingExperiment, *, journal: Journal, writer: "_Writer | None" = None
    ) -> None:
        """Use `open` or `read` instead."""
        self.path = path
        self.experiment = experiment
        self.warnings = journal.warnings
        self._records = results_of(journal.rows)
        self._attempts = attempts_of(journal.rows)
        self.expenses = Expenses(journal.rows)
        self._writer = writer

    @classmethod
    def open(cls, path: Path, experiment: ScalingExperiment, *, fresh: bool = False) -> Self:
        """Open the folder to run `experiment`, alone: begin an epoch, and go on from the results that are there.

        Args:
            path: made where it does not exist; an existing folder must be empty or hold this experiment's results.
            experiment: may have changed since the folder's last run, but for its name: trials whose identity is the
                same keep their results.
            fresh: remove the experiment's earlier results first.

        Raises:
            ResultsFolderError: it holds something else, is in use by another run, or cannot be written.
            DiskFullError: there is no room.
        """
        path = Path(os.path.abspath(path))  # noqa: PTH100 - resolves "..", and leaves links as they are
        with _explained(path):
            _refuse_foreign(path, experiment.metadata.name)
            make_folder(path)
            lock = _lock(path)
            try:
                if fresh:
                    _remove_results(path)
                for folder in (path / "journal", path / "trials", path / "logs"):
                    make_folder(folder)
                _write_experiment(path / _EXPERIMENT, experiment)
                return cls(path, experiment, journal=read_journal(path / "journal"), writer=_Writer(path, lock))
            except BaseException:
                os.close(lock)
                raise

    @classmethod
    def read(cls, path: Path) -> Self:
        """Return what is in the folder now; a run may be going on in it.

        Raises:
            ResultsFolderError: it is no results folder, or cannot be read.
        """
        path = path.absolute()
        with _explained(path):
            return cls(path, _read_experiment(path), journal=read_journal(path / "journal"))

    def records(self) -> dict[str, TrialRecord]:
        """Return each finished trial's result by its id, over all epochs: its first success, else its last failure."""
        return dict(self._records)

    def attempts(self, trial_id: str) -> int:
        """Return the number of attempts begun at a trial, over all epochs."""
        return self._attempts[trial_id]

    def failed_attempts(self, trial_id: str) -> FailedAttempts:
        """Return none: who runs a folder again wants what has failed to be tried afresh."""
        del trial_id
        return FailedAttempts()

    def trial_folder(self, trial_id: str) -> Path:
        """Where a trial keeps its files."""
        return self.path / "trials" / trial_id

    def remains(self, trial_id: str) -> Remains:
        """Return what there is of a trial to go on from; what is damaged is removed."""
        is_there, damaged = False, []
        for manifest in list(self.trial_folder(trial_id).glob(f"*/{MANIFEST}")):
            try:
                check_checkpoint(manifest.parent)
                is_there = True
            except CheckpointError as error:
                shutil.rmtree(manifest.parent)
                damaged.append(error.fact)
        return Remains(is_there, damaged)

    def discard(self, trial_id: str, checkpoint: Path) -> bool:
        """Remove a trial's checkpoint that an attempt could not use; False where it is usable by now."""
        folder = self.trial_folder(trial_id) / checkpoint.name
        try:
            check_checkpoint(folder)
        except CheckpointError:
            shutil.rmtree(folder, ignore_errors=True)
            return True
        return False

    def located(self, status: TrialStatus) -> TrialStatus:
        """Return `status` with the checkpoint's path relative to the folder."""
        if status.checkpoint is None:
            return status
        path = Path(status.checkpoint.path)
        if not (path.is_absolute() and path.is_relative_to(self.path)):
            return status
        relative = path.relative_to(self.path).as_posix()
        return status.model_copy(update={"checkpoint": status.checkpoint.model_copy(update={"path": relative})})

    @property
    def epoch(self) -> int:
        """Number of this run, from 1. Only of an opened folder."""
        return self._opened.epoch

    @property
    def lock_descriptor(self) -> int:
        """Of the lock: a process that inherits it keeps the folder locked while it lives."""
        return self._opened.lock

    def append(self, row: Row) -> None:
        """Write a row to this epoch's journal, whole or not at all; on disk after `sync`.

        Raises:
            OSError: it could not be written; the journal is as it was.
        """
        if isinstance(row, AttemptStarted):
            self._opened.journal.append(row)
            self._attempts[row.trial] += 1
            self.expenses.begin(row)
        else:
            self._opened.journal.append(self.expenses.end(row))
            add_result(self._records, row.record)

    def spend(self, spent: Spending) -> None:
        """Write down what was spent beside attempts, and how far those are that run.

        Raises:
            OSError: it could not be written.
        """
        self._opened.journal.append(self.expenses.meter(spent, at=datetime.now(UTC)))

    def sync(self) -> None:
        """Bring this epoch's journal to disk."""
        self._opened.journal.sync()

    def write_file(self, name: str, content: bytes) -> None:
        """Make the file `name` of the folder hold `content`, whole or as it was, on disk when the call returns.

        Raises:
            ResultsFolderError: the folder cannot be written.
            DiskFullError: there is no room.
        """
        with _explained(self.path):
            write_whole(self.path / name, content)
            sync_folder(self.path)

    def close(self) -> None:
        """End the epoch and let others open the folder; closing again does nothing."""
        if self._writer is not None:
            self._writer.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def _opened(self) -> "_Writer":
        assert self._writer is not None, "the folder was opened for reading"
        return self._writer


class _Writer:
    def __init__(self, path: Path, lock: int) -> None:
        files = epoch_files(path / "journal")
        self.lock = lock
        self.epoch = int(files[-1].stem) + 1 if files else 1
        self.journal = JournalWriter(epoch_file(path / "journal", self.epoch))

    def close(self) -> None:
        try:
            self.journal.close()
        finally:
            if self.lock >= 0:
                os.close(self.lock)
                self.lock = -1


@contextlib.contextmanager
def _explained(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in DISK_FULL:
            raise DiskFullError.at(path) from error
        if isinstance(error, NotADirectoryError | FileExistsError):
            raise ResultsFolderError(
                f"{error.filename or path} is a file, where a results folder is wanted; name a folder."
            ) from error
        if error.errno in {errno.EACCES, errno.EPERM, errno.EROFS}:
            raise ResultsFolderError(
                f"{error.filename or path} cannot be used ({os.strerror(error.errno)}). Choose a results folder that "
                "you may write to."
            ) from error
        if error.errno in {errno.ENOLCK, errno.ENOTSUP}:
            raise ResultsFolderError(
                f"The file system of {path} cannot lock files, which keeps two runs apart. Choose a folder on another."
            ) from error
        raise


def _refuse_foreign(path: Path, name: str) -> None:
    """Refuse a folder that holds anything but results of the experiment `name`."""
    if not path.exists():
        return
    entries = {entry.name for entry in path.iterdir()}
    if _EXPERIMENT not in entries:
        if entries - {_LOCK, "journal", "trials", "logs", "corpus"} or any((path / "journal").glob("*")):
            raise ResultsFolderError(
                f"{path} holds other files and no results (it has no {_EXPERIMENT}). Choose another folder, or an "
                "empty one."
            )
        return
    found = _experiment_json(path)["metadata"]["name"]
    if found != name:
        raise ResultsFolderError(
            f"{path} holds the results of the experiment {found}, not of {name}. Choose another folder for {name}."
        )


def _experiment_json(path: Path) -> dict[str, Any]:
    try:
        fields: dict[str, Any] = json.loads((path / _EXPERIMENT).read_bytes())
        if fields["kind"] == "ScalingExperiment" and isinstance(fields["metadata"]["name"], str):
            return fields
    except FileNotFoundError:
        raise ResultsFolderError(
            f"{path} is not a results folder: it has no {_EXPERIMENT}. Name a folder that an experiment was run in."
        ) from None
    except (ValueError, KeyError, TypeError, RecursionError):
        pass
    raise ResultsFolderError(
        f"{path / _EXPERIMENT} is not an experiment that was run here: it was damaged or changed. Choose another "
        "folder, or put the file back."
    )


def _read_experiment(path: Path) -> ScalingExperiment:
    fields = _experiment_json(path)
    try:
        return ScalingExperiment.model_validate(fields)
    except ValidationError as error:
        raise ResultsFolderError(
            f"{path / _EXPERIMENT} cannot be read by this version: "
            f"{'; '.join(map(str, problems_of(error)))}. Run the experiment "
            "again in this folder: what its trials have measured is kept."
        ) from error


def _write_experiment(path: Path, experiment: ScalingExperiment) -> None:
    fields = experiment.model_dump(mode="json", exclude={"status"})
    content = json.dumps(fields, indent=1, sort_keys=True).encode() + b"\n"
    if not path.exists() or path.read_bytes() != content:
        write_whole(path, content)
        sync_folder(path.parent)


def _remove_results(path: Path) -> None:
    for name in _OURS:
        entry = path / name
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        else:
            entry.unlink(missing_ok=True)


def _lock(path: Path) -> int:
    descriptor = os.open(path / _LOCK, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        _wait_for_lock(descriptor, path)
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"process {os.getpid()} on {socket.gethostname()}\n".encode(), 0)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _wait_for_lock(descriptor: int, path: Path) -> None:
    deadline = time.monotonic() + _LOCK_PATIENCE_S
    while True:
        try:
            return fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                holder = os.pread(descriptor, 256, 0).decode(errors="replace").strip() or "unknown"
                raise ResultsFolderError(
                    f"Another run ({holder}) is using {path}. Wait until it ends, or choose another folder."
                ) from None
            time.sleep(0.02)
