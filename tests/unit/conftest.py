"""What several suites store things on: a disk small enough to fill, and an S3 server."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from throwaway.errors import UnavailableError

if TYPE_CHECKING:
    from s3_server import S3Server


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 1 MB; skipped where it cannot be mounted."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("mounting a small disk needs root")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.fixture(scope="session")
def s3_server(tmp_path_factory: pytest.TempPathFactory) -> "Iterator[S3Server]":
    """An S3 server with a bucket; skipped where it is not built and cannot be."""
    from s3_server import S3Server

    try:
        server = S3Server(tmp_path_factory.mktemp("s3"))
    except UnavailableError as reason:
        pytest.skip(str(reason))
    server.start()
    server.make_bucket()
    yield server
    server.stop()
