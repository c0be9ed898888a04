"""A Ray of two slots for the tests of a file, ended with it; and the scripted trials."""

import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from scaling_trainer.executors.ray.connection import Connection

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent / "executor")]


@pytest.fixture(scope="module")
def ray_here() -> Iterator[Connection]:
    pytest.importorskip("ray")
    connection = Connection.start(slots=2)
    yield connection
    connection.close()


@pytest.fixture(autouse=True)
def _no_process_is_left() -> Iterator[None]:
    from ray_runs import lane_processes

    yield
    deadline = time.monotonic() + 5  # Ray kills in its own time
    while lane_processes() and time.monotonic() < deadline:
        time.sleep(0.02)
    assert lane_processes() == []
