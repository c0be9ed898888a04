"""Storage of every kind to test on, and the executor's scripted trials."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from s3_server import S3Server

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1] / "executor")]


@pytest.fixture(autouse=True)
def one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """Scripted trials note it, as lanes set it."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")


@pytest.fixture
def s3_uri(s3_server: "S3Server", tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A prefix of the test's own, with the variables set by which it is found."""
    from s3_server import BUCKET

    for name, value in s3_server.environment.items():
        monkeypatch.setenv(name, value)
    return f"s3://{BUCKET}/{tmp_path.name}"


@pytest.fixture(params=["folder", "file", "s3", "memory"])
def uri(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The root of a storage of each kind."""
    if request.param == "s3":
        found: str = request.getfixturevalue("s3_uri")
        return found
    roots = {"folder": f"{tmp_path}/storage", "file": f"file://{tmp_path}/storage", "memory": f"memory://{tmp_path}"}
    return roots[request.param]
