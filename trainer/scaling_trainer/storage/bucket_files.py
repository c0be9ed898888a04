"""Files in a bucket: S3 and Google Cloud Storage by Arrow, every other scheme by fsspec.

A single object is put whole: it is seen when the last byte has come, and a store with several copies (S3, since 2020)
shows it to every reader from then on.
"""

import os
from pathlib import Path
from typing import Any, Final, Self
from urllib.parse import parse_qsl, urlsplit

from pyarrow import fs

from scaling_trainer.storage.errors import StorageRefusedError

_PIECE_BYTES: Final = 8 << 20
_CONNECT_TIMEOUT_S: Final = 5.0
_REQUEST_TIMEOUT_S: Final = 60.0
_TRIES: Final = 3  # of one request, by the S3 client itself, with exponential backoff


class BucketFiles:
    """A bucket, or a prefix of one."""

    def __init__(self, files: fs.FileSystem, root: str, *, uri: str) -> None:
        """Use `of` instead."""
        self._files = files
        self._root = root.rstrip("/")
        self.uri = uri

    @classmethod
    def of(cls, uri: str) -> Self:
        """Return the files under a URI.

        Options of S3 may follow it, such as ?endpoint_override=host:port&scheme=http&region=…; without them the
        variables AWS_ENDPOINT_URL_S3, AWS_ENDPOINT_URL, AWS_REGION and AWS_DEFAULT_REGION hold. Credentials are found
        as every AWS or Google program finds them.

        Raises:
            StorageRefusedError: no such scheme, or its library is not installed.
        """
        parts = urlsplit(uri)
        root = f"{parts.netloc}{parts.path}".strip("/")
        shown = f"{parts.scheme}://{root.rpartition('@')[2]}"
        options = dict(parse_qsl(parts.query))
        match parts.scheme:
            case "s3" | "s3a" | "s3n":
                return cls(_s3(root.partition("/")[0], options), root, uri=shown)
            case "gs" | "gcs":
                return cls(fs.GcsFileSystem(**options), root, uri=shown)
            case _:
                return cls(*_by_fsspec(uri, shown), uri=shown)

    def read(self, name: str) -> bytes:
        """See `Files`."""
        with self._files.open_input_stream(self._path(name)) as stream:
            content: bytes = stream.readall()
            return content

    def write(self, name: str, content: bytes | Path) -> None:
        """See `Files`. Where reading a local file fails in between, what was read is there: check what is fetched."""
        with self._files.open_output_stream(self._path(name)) as stream:
            if isinstance(content, bytes):
                stream.write(content)
            else:
                with content.open("rb") as file:
                    while piece := file.read(_PIECE_BYTES):
                        stream.write(piece)

    def fetch(self, name: str, target: Path) -> None:
        """See `Files`."""
        with self._files.open_input_stream(self._path(name)) as stream, target.open("wb") as file:
            while piece := stream.read(_PIECE_BYTES):
                file.write(piece)

    def names(self, folder: str) -> list[str]:
        """See `Files`."""
        prefix = f"{self._root}/".lstrip("/")
        infos = self._infos(folder, recursive=True)
        return sorted(info.path.lstrip("/").removeprefix(prefix) for info in infos if info.type == fs.FileType.File)

    def folders(self, folder: str) -> list[str]:
        """See `Files`."""
        found = self._infos(folder, recursive=False)
        return sorted(info.base_name for info in found if info.type == fs.FileType.Directory)

    def remove(self, name: str) -> None:
        """See `Files`."""
        try:
            self._files.delete_file(self._path(name))
        except FileNotFoundError:
            return

    def _infos(self, folder: str, *, recursive: bool) -> list[Any]:
        selector = fs.FileSelector(self._path(folder), recursive=recursive, allow_not_found=True)
        return list(self._files.get_file_info(selector))

    def _path(self, name: str) -> str:
        return f"{self._root}/{name}".rstrip("/")


def _s3(bucket: str, options: dict[str, str]) -> fs.FileSystem:
    endpoint = options.pop("endpoint_override", None) or _endpoint()
    region = options.pop("region", None) or os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
    if endpoint is None and region is None:
        region = fs.resolve_s3_region(bucket)
    if endpoint and "://" in endpoint:
        scheme, _, endpoint = endpoint.partition("://")
        options.setdefault("scheme", scheme)
    try:
        return fs.S3FileSystem(
            region=region,
            endpoint_override=endpoint and endpoint.rstrip("/"),
            connect_timeout=_CONNECT_TIMEOUT_S,
            request_timeout=_REQUEST_TIMEOUT_S,
            allow_delayed_open=True,  # a small object is one request
            retry_strategy=fs.AwsStandardS3RetryStrategy(max_attempts=_TRIES),
            **options,
        )
    except TypeError as error:
        raise StorageRefusedError(f"The storage s3://{bucket} has an option that S3 does not have: {error}.") from error


def _endpoint() -> str | None:
    return os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")


def _by_fsspec(uri: str, shown: str) -> tuple[fs.FileSystem, str]:
    import fsspec

    try:
        files, root = fsspec.url_to_fs(uri)
    except (ImportError, ValueError) as error:
        raise StorageRefusedError(
            f"The storage {shown} cannot be opened: {error}. Use a folder, s3:// or gs://, or install what it needs."
        ) from error
    return fs.PyFileSystem(fs.FSSpecHandler(files)), root
