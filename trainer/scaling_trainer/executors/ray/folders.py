"""Where a Ray of our own keeps its sockets and logs, and what killed ones have left there."""

import contextlib
import fcntl
import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

_PARENT: Final = Path("/tmp")  # the names of sockets must be short
_PREFIX: Final = "scaling-ray-"
_LOCK: Final = "in-use"


@dataclass(frozen=True)
class OwnFolder:
    """A folder that is this process's as long as it lives: the kernel lets go of its lock however the process ends."""

    path: Path
    lock: int
    """Descriptor."""

    @classmethod
    def make(cls, parent: Path = _PARENT) -> Self:
        """Make one, and remove those of processes that were killed."""
        for folder in parent.glob(f"{_PREFIX}*"):
            with contextlib.suppress(OSError):  # someone else's, in use, or gone meanwhile
                _remove_if_left(folder)
        path = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=parent))
        lock = os.open(path / "new", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        fcntl.flock(lock, fcntl.LOCK_EX)
        (path / "new").rename(path / _LOCK)  # nobody finds it before it is locked
        return cls(path, lock)

    def remove(self) -> None:
        """Remove it with all that it holds."""
        shutil.rmtree(self.path, ignore_errors=True)
        os.close(self.lock)


def _remove_if_left(folder: Path) -> None:
    lock = os.open(folder / _LOCK, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(folder, ignore_errors=True)
    finally:
        os.close(lock)
