"""Whole files under a root, wherever the root is: what folders and buckets have in common."""

from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit

from scaling_trainer.storage.errors import StorageRefusedError


class Files(Protocol):
    """Files under a root. Names are relative to it, with slashes. A file is there whole or not at all.

    All methods may be called from several threads, and raise OSError where the root cannot be used for now.
    """

    uri: str
    """The root, without credentials."""

    def read(self, name: str) -> bytes:
        """Return a file's content.

        Raises:
            FileNotFoundError: there is none of that name.
        """

    def write(self, name: str, content: bytes | Path) -> None:
        """Make the file `name` hold `content`, or what the file at a local path holds; it is durable on return."""

    def fetch(self, name: str, target: Path) -> None:
        """Copy a file to the local path `target`, whose folder exists.

        Raises:
            FileNotFoundError: there is none of that name.
        """

    def names(self, folder: str) -> list[str]:
        """Return the names of all files in `folder` and below, sorted; none where there is no such folder."""

    def folders(self, folder: str) -> list[str]:
        """Return the last parts of the names of the folders in `folder`, sorted; none where there is no such folder."""

    def remove(self, name: str) -> None:
        """Remove a file; nothing happens where there is none."""


def open_files(uri: str) -> Files:
    """Return the files under a root: a path, or a URI such as file:///claim, s3://bucket/prefix or gs://bucket.

    Raises:
        StorageRefusedError: there are no such roots.
    """
    if not uri.strip():
        raise StorageRefusedError("The storage has no address: name a folder, or a URI such as s3://bucket/prefix.")
    scheme = urlsplit(uri).scheme if "://" in uri else ""
    if scheme in {"", "file"}:
        from scaling_trainer.storage.local_files import LocalFiles

        return LocalFiles(Path(uri.removeprefix("file://")))
    from scaling_trainer.storage.bucket_files import BucketFiles

    return BucketFiles.of(uri)
