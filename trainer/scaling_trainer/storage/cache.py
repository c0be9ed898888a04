"""Parents' files on the disk of a node: fetched once, used by all lanes there, the least recently used removed.

Whoever uses an entry holds a shared lock on it, which the kernel releases with the process; only what nobody holds is
removed.
"""

import contextlib
import fcntl
import os
import shutil
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from scaling_trainer.storage.store import Committed, Store, is_intact

_SHARE_OF_FREE_SPACE: Final = 0.25
_STAMP: Final = ".shrunk"
_TRIES: Final = 2  # a file may be damaged on its way


class ParentCache:
    """Finished trials' files in a folder of this node."""

    def __init__(self, folder: Path, *, largest_bytes: int | None = None) -> None:
        """Use `folder`, which other processes may use too.

        Args:
            folder: made where it does not exist.
            largest_bytes: what it may grow to beyond what is in use; a quarter of the free space, without it.
        """
        self._folder = folder
        self._largest_bytes = largest_bytes
        folder.mkdir(parents=True, exist_ok=True)

    @contextlib.contextmanager
    def entry(self, committed: Committed, store: Store) -> Iterator[Path | None]:
        """Lend a folder with the trial's files, checked by hash; None where storage has no such files any more."""
        path = self._path(committed)
        with _locked(path.with_suffix(".lock"), fcntl.LOCK_SH):
            yield path if self._has(committed, path) or self._fetched(committed, path, store) else None

    def keep(self, committed: Committed, folder: Path) -> None:
        """Take over `folder`, on the same disk, which holds the trial's files."""
        if not committed.result.files:
            return
        path = self._path(committed)
        with contextlib.suppress(OSError), _locked(path.with_suffix(".lock"), fcntl.LOCK_SH):
            folder.rename(path)

    def shrink(self, *, after_s: float = 0.0) -> None:
        """Remove what was used longest ago, until the rest is small enough; not if that was done lately.

        Args:
            after_s: since the last time, by any lane of the node.
        """
        stamp = self._folder / _STAMP
        if stamp.exists() and time.time() - stamp.stat().st_mtime < after_s:
            return
        stamp.touch()
        entries = sorted(self._entries(), key=lambda path: path.stat().st_mtime, reverse=True)
        limit = self._largest_bytes
        if limit is None:
            limit = int(_SHARE_OF_FREE_SPACE * shutil.disk_usage(self._folder).free)
        kept = 0
        for path in entries:
            kept += _size(path)
            if kept > limit:
                _remove_unused(path)

    def _path(self, committed: Committed) -> Path:
        return self._folder / f"{committed.result.trial}-{committed.result.attempt.replace('.', '_')}"

    def _has(self, committed: Committed, path: Path) -> bool:
        if not path.is_dir():
            return False
        if is_intact(committed.result.files, path):
            os.utime(path)
            return True
        shutil.rmtree(path, ignore_errors=True)
        return False

    def _fetched(self, committed: Committed, path: Path, store: Store) -> bool:
        temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
        try:
            for _ in range(_TRIES):
                if store.fetch(committed, temporary):
                    with contextlib.suppress(OSError):  # another lane was faster
                        temporary.rename(path)
                    return path.is_dir()
                shutil.rmtree(temporary)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
        return False

    def _entries(self) -> list[Path]:
        return [path for path in self._folder.iterdir() if path.is_dir() and path.name[0] != "."]


@contextlib.contextmanager
def _locked(path: Path, kind: int) -> Iterator[None]:
    """Hold a lock; a file that was removed before the lock was had is made again."""
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(descriptor, kind)
            if _is_file(descriptor, path):
                yield
                return
        finally:
            os.close(descriptor)


def _is_file(descriptor: int, path: Path) -> bool:
    try:
        return os.fstat(descriptor).st_ino == path.stat().st_ino
    except FileNotFoundError:
        return False


def _remove_unused(path: Path) -> None:
    lock = path.with_suffix(".lock")
    with contextlib.suppress(BlockingIOError, FileNotFoundError), _locked(lock, fcntl.LOCK_EX | fcntl.LOCK_NB):
        shutil.rmtree(path, ignore_errors=True)
        lock.unlink()


def _size(folder: Path) -> int:
    with contextlib.suppress(FileNotFoundError):
        return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    return 0
