"""Drivers that end with their test, and storage of the storage's tests."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

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
def s3_uri(s3_server: "S3Server", tmp_path: Path) -> str:
    """A prefix of the test's own."""
    from s3_server import BUCKET

    return f"s3://{BUCKET}/{tmp_path.name}"
