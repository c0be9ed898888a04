"""Files that are whole or not there, and on disk before anything relies on them."""

import contextlib
import errno
import os
from collections.abc import Iterable
from pathlib import Path

# Some network file systems have no call that brings a folder's names to disk; they do so by themselves.
_CANNOT_SYNC = frozenset({errno.EINVAL, errno.ENOTSUP, errno.EBADF})


def write_whole(path: Path, content: bytes) -> None:
    """Make `path` hold `content`: whoever is killed leaves the old content or the new.

    The content is on disk when the call returns; its name is once `sync_folder(path.parent)` was called.

    Raises:
        OSError: it could not be written; the old content is still there.
    """
    write_pieces(path, (content,), temporary=path.with_name(f".{path.name}.{os.getpid()}.tmp"))


def write_pieces(path: Path, pieces: Iterable[bytes], *, temporary: Path) -> None:
    """Make `path` hold the pieces, as `write_whole` does, under a temporary name until all are on disk.

    Raises:
        OSError: it could not be written; the old content is still there.
    """
    try:
        with temporary.open("wb", buffering=0) as file:
            for piece in pieces:
                write_all(file.fileno(), piece)
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise


def write_all(descriptor: int, content: bytes) -> None:
    """Write every byte: one call may write fewer than it was given."""
    rest = memoryview(content)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


def sync_folder(folder: Path) -> None:
    """Bring the names in `folder` to disk, where the file system can."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in _CANNOT_SYNC:
            raise
    finally:
        os.close(descriptor)


def make_folder(folder: Path) -> None:
    """Make `folder` and its parents; the new names are on disk when the call returns."""
    missing = [parent for parent in (folder, *folder.parents) if not parent.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    for made in missing:
        sync_folder(made.parent)
