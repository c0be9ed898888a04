"""Files in a folder of this machine, or of a claim mounted on it."""

import contextlib
import os
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path

from scaling_trainer.durable import make_folder, sync_folder, write_pieces

_PIECE_BYTES = 1 << 20
_TRIES = 10


class LocalFiles:
    """A folder. Names that start with a dot are not seen: unfinished files have such names."""

    def __init__(self, root: Path) -> None:
        """Use `root`; it is made with the first file."""
        self._root = root.expanduser().absolute()
        self.uri = str(self._root)

    def read(self, name: str) -> bytes:
        """See `Files`."""
        return (self._root / name).read_bytes()

    def write(self, name: str, content: bytes | Path) -> None:
        """See `Files`."""
        path = self._root / name
        for _ in range(_TRIES - 1):
            with contextlib.suppress(FileNotFoundError, FileExistsError):  # `remove` takes empty folders away
                make_folder(path.parent)
                _write(path, content)
                return
        make_folder(path.parent)
        _write(path, content)

    def fetch(self, name: str, target: Path) -> None:
        """See `Files`."""
        shutil.copyfile(self._root / name, target)

    def names(self, folder: str) -> list[str]:
        """See `Files`."""
        found = []
        for parent, folders, files in os.walk(self._root / folder):
            folders[:] = [name for name in folders if not name.startswith(".")]
            found += [Path(parent, name).relative_to(self._root).as_posix() for name in files if name[0] != "."]
        return sorted(found)

    def folders(self, folder: str) -> list[str]:
        """See `Files`."""
        try:
            with os.scandir(self._root / folder) as entries:
                return sorted(entry.name for entry in entries if entry.is_dir() and entry.name[0] != ".")
        except FileNotFoundError:
            return []

    def remove(self, name: str) -> None:
        """See `Files`. Folders that it leaves empty are removed too."""
        path = self._root / name
        path.unlink(missing_ok=True)
        with contextlib.suppress(OSError):  # not empty, or removed by another
            for parent in path.parents:
                if parent == self._root:
                    break
                parent.rmdir()


def _write(path: Path, content: bytes | Path) -> None:
    temporary = path.with_name(f".{path.name[:200]}.{uuid.uuid4().hex}")  # others may write the same name now
    write_pieces(path, _pieces(content), temporary=temporary)
    sync_folder(path.parent)


def _pieces(content: bytes | Path) -> Iterator[bytes]:
    if isinstance(content, bytes):
        yield content
        return
    with content.open("rb") as file:
        while piece := file.read(_PIECE_BYTES):
            yield piece
