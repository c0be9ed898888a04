"""Drivers that end with their test, and storage of the storage's tests."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from throwaway.errors import UnavailableError

if TYPE_CHECKING:
    from driving import Driving
    from s3_server import S3Server

UNIT = Path(__file__).parents[1]
sys.path[:0] = [str(Path(__file__).parent), str(UNIT / "executor"), str(UNIT / "storage")]


@pytest.fixture
def driving(tmp_path: Path) -> "Iterator[Callable[..., Driving]]":
    """Makes drivers, on the test's own folder unless told otherwise; all are killed at the end."""
    from driving import Driving

    made: list[Driving] = []

    def make(**options: Any) -> Driving:
        options = {"storage": f"{tmp_path}/storage", "folder": tmp_path / f"driver{len(made)}"} | options
        made.append(Driving(**options))
        return made[-1]

    yield make
    for one in made:
        one.kill()


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


@pytest.fixture
def s3_uri(s3_server: "S3Server", tmp_path: Path) -> str:
    """A prefix of the test's own."""
    from s3_server import BUCKET

    return f"s3://{BUCKET}/{tmp_path.name}"
