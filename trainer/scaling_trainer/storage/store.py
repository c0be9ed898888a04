"""Trials' files in storage: committed once, whole, and checked by hash when they are fetched.

    trials/<id>/<attempt>/<files>                        what a finished trial has left
    trials/<id>/<attempt>/result.json                    its result and the hash of each file; written last
    trials/<id>/<attempt>/progress/<step>/<folder>/…     a checkpoint of an unfinished one; its manifest written last

An attempt's name is its own for ever, so nobody writes over another's files, and no lock is needed: what has no
result.json is not there. Of several complete results (of a trial that two drivers ran, one of them believed dead) the
first by name counts; they have the same numbers. Trials of all experiments of a storage are here: an id covers all
that a result depends on.
"""

import hashlib
import json
import shutil
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Final, Literal, Self

from pydantic import Field

from scaling_api.v1alpha1.base import Sha256, TrialId
from scaling_api.v1alpha1.trial import TrialStatus
from scaling_trainer.checkpoint import MANIFEST, check_checkpoint
from scaling_trainer.errors import CheckpointError
from scaling_trainer.lines import Line
from scaling_trainer.storage.files import Files, open_files
from scaling_trainer.storage.patience import PatientFiles

RESULT: Final = "result.json"
PROGRESS: Final = "progress"
_PATIENCE_S: Final = 300.0
_AT_A_TIME: Final = 8  # requests for one trial's files

AttemptName = Annotated[str, Field(pattern=r"^[0-9A-Za-z][0-9A-Za-z._-]*$", max_length=63)]
RelativeName = Annotated[str, Field(pattern=r"^[^/.][^/]*(/[^/.][^/]*)*$", max_length=1024)]


class StoredFile(Line):
    """One file of a committed trial."""

    sha256: Sha256
    size: Annotated[int, Field(ge=0)]


class Result(Line):
    """What result.json says."""

    format: Literal[1] = 1
    trial: TrialId
    attempt: AttemptName
    status: TrialStatus
    files: dict[RelativeName, StoredFile] = Field(default_factory=dict)


@dataclass(frozen=True)
class Committed:
    """A finished trial's files in storage."""

    result: Result

    @property
    def folder(self) -> str:
        """Where they are, relative to the storage."""
        return f"trials/{self.result.trial}/{self.result.attempt}"


@dataclass(frozen=True, order=True)
class Snapshot:
    """A checkpoint of an unfinished trial in storage."""

    step: int
    folder: str
    """Where it is, relative to the storage."""

    @property
    def name(self) -> str:
        """Of the folder that the trial keeps it in, such as `progress`."""
        return self.folder.rpartition("/")[2]


@dataclass(frozen=True)
class Found:
    """What storage has of a trial."""

    committed: tuple[Committed, ...]
    """Complete results, the one that counts first."""
    snapshots: tuple[Snapshot, ...]
    """Checkpoints, the newest first."""
    names: tuple[str, ...]
    """Of all files."""


class Store:
    """The trials of a storage."""

    def __init__(self, files: Files) -> None:
        """Keep trials in `files`."""
        self.files = files

    @classmethod
    def of(cls, uri: str, *, patience_s: float = _PATIENCE_S, stopped: threading.Event | None = None) -> Self:
        """Return the trials of the storage at a URI or path; calls wait for storage that cannot be used for a while.

        Raises:
            StorageRefusedError: there is no such kind of storage.
        """
        return cls(PatientFiles(_opened(uri), patience_s=patience_s, stopped=stopped))

    def find(self, trial_id: str) -> Found:
        """Return what there is of a trial.

        Raises:
            StorageError: storage cannot be used, as from all methods.
        """
        names = self.files.names(f"trials/{trial_id}")
        results = (self._result(name) for name in names if name.count("/") == 3 and name.endswith(f"/{RESULT}"))
        snapshots = (_snapshot(name) for name in names)
        return Found(
            committed=tuple(Committed(r) for r in results if r is not None and r.trial == trial_id),
            snapshots=tuple(sorted((s for s in snapshots if s is not None), reverse=True)),
            names=tuple(names),
        )

    def commit(self, trial_id: str, attempt: str, folder: Path | None, *, status: TrialStatus) -> Committed:
        """Keep every file in `folder`, if any, and the result; return what counts: an earlier commit, if there is one.

        Raises:
            OSError: a file in `folder` cannot be read.
        """
        found = self.find(trial_id)
        if found.committed:
            return found.committed[0]
        paths = {path.relative_to(folder).as_posix(): path for path in _paths_in(folder)} if folder else {}
        files = {name: _stored(path) for name, path in paths.items()}
        result = Result(trial=trial_id, attempt=attempt, status=status, files=files)
        committed = Committed(result)
        self._all(files, lambda name: self.files.write(f"{committed.folder}/{name}", paths[name]))
        self.files.write(f"{committed.folder}/{RESULT}", result.model_dump_json(exclude_none=True).encode())
        self._all((name for name in found.names if _is_progress(name)), self.files.remove)
        return committed

    def fetch(self, committed: Committed, folder: Path) -> bool:
        """Make `folder` hold a finished trial's files; False where one is missing or not what was committed."""
        folder.mkdir(parents=True)
        return all(self._all(committed.result.files, lambda name: self._fetched(committed, name, folder)))

    def discard(self, committed: Committed) -> None:
        """Let a damaged result count no more: the trial is run again."""
        self.files.remove(f"{committed.folder}/{RESULT}")

    def save_snapshot(self, snapshot: Snapshot, folder: Path) -> None:
        """Keep the checkpoint in `folder`.

        Raises:
            FileNotFoundError: a newer one took its place meanwhile; nothing is kept.
        """
        manifest = (folder / MANIFEST).read_bytes()
        names = [file["name"] for file in json.loads(manifest).values() if isinstance(file, dict)]
        self._all(names, lambda name: self.files.write(f"{snapshot.folder}/{name}", folder / name))
        if (folder / MANIFEST).read_bytes() != manifest:
            raise FileNotFoundError(f"{folder} was replaced")
        self.files.write(f"{snapshot.folder}/{MANIFEST}", manifest)

    def fetch_snapshot(self, snapshot: Snapshot, folder: Path, *, names: Iterable[str]) -> bool:
        """Make `folder` hold a checkpoint; False where it is missing or damaged, or was removed meanwhile."""
        folder.mkdir(parents=True)
        mine = [name for name in names if name.startswith(f"{snapshot.folder}/")]
        try:
            self._all(mine, lambda name: self.files.fetch(name, folder / name.rpartition("/")[2]))
            check_checkpoint(folder)
        except (FileNotFoundError, CheckpointError):
            shutil.rmtree(folder)
            return False
        return True

    def remove_snapshot(self, snapshot: Snapshot) -> None:
        """Remove a checkpoint, its manifest first."""
        self.files.remove(f"{snapshot.folder}/{MANIFEST}")
        self._all(self.files.names(snapshot.folder), self.files.remove)

    def _result(self, name: str) -> Result | None:
        """Return a result that can be read; one that cannot is not there."""
        try:
            return Result.model_validate_json(self.files.read(name))
        except (FileNotFoundError, ValueError):
            return None

    def _fetched(self, committed: Committed, name: str, folder: Path) -> bool:
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            self.files.fetch(f"{committed.folder}/{name}", target)
        except FileNotFoundError:
            return False
        return _stored(target) == committed.result.files[name]

    def _all(self, names: Iterable[str], call: Callable[[str], object]) -> list[object]:
        listed = list(names)
        if len(listed) < 2:
            return [call(name) for name in listed]
        with ThreadPoolExecutor(min(_AT_A_TIME, len(listed)), thread_name_prefix="store") as threads:
            return list(threads.map(call, listed))


def is_intact(files: Mapping[str, StoredFile], folder: Path) -> bool:
    """Whether `folder` holds these files, with these hashes."""
    try:
        return all(_stored(folder / name) == file for name, file in files.items())
    except OSError:
        return False


@lru_cache(maxsize=8)
def _opened(uri: str) -> Files:
    return open_files(uri)


def _stored(path: Path) -> StoredFile:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256")
        return StoredFile(sha256=digest.hexdigest(), size=file.tell())


def _paths_in(folder: Path) -> Iterator[Path]:
    """Yield all files that a trial has left; unfinished files start with a dot."""
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not any(part.startswith(".") for part in path.relative_to(folder).parts):
            yield path


def _snapshot(name: str) -> Snapshot | None:
    """Return the checkpoint whose manifest is trials/<id>/<attempt>/progress/<step>/<folder>/manifest.json."""
    parts = name.split("/")
    if len(parts) == 7 and _is_progress(name) and parts[6] == MANIFEST and parts[4].isdecimal():
        return Snapshot(step=int(parts[4]), folder=name.rpartition("/")[0])
    return None


def _is_progress(name: str) -> bool:
    return name.split("/")[3:4] == [PROGRESS]
