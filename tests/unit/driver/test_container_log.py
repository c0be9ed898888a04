import io
import os
from contextlib import suppress
from pathlib import Path

import pytest

from scaling_trainer import container_log


def test_outside_a_head_nothing_but_standard_error_is_written(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KUBERAY_GEN_RAY_START_CMD", raising=False)
    assert len(container_log.outputs()) == 1


def test_in_a_head_the_containers_log_has_every_line_too(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    log, own = tmp_path / "log", tmp_path / "own"
    log.touch()
    monkeypatch.setenv("KUBERAY_GEN_RAY_START_CMD", "ray start --head")
    monkeypatch.setattr(container_log, "_FIRST_PROCESS", str(log))
    _, copied = container_log.outputs()
    with own.open("wb") as stream:
        container_log.copy(io.BytesIO(b"one\ntwo\nrest"), (stream.fileno(), copied))
    os.close(copied)
    assert log.read_bytes() == own.read_bytes() == b"one\ntwo\nrest"


def test_a_log_that_cannot_be_written_holds_up_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("KUBERAY_GEN_RAY_START_CMD", "ray start --head")
    monkeypatch.setattr(container_log, "_FIRST_PROCESS", str(tmp_path / "none"))
    assert len(container_log.outputs()) == 1
    reading, full = os.pipe()
    os.set_blocking(full, False)
    with suppress(BlockingIOError):
        while True:
            os.write(full, b"x" * 4096)
    own = tmp_path / "own"
    with own.open("wb") as stream:
        container_log.copy(io.BytesIO(b"one\ntwo\n"), (full, stream.fileno()))
    assert own.read_bytes() == b"one\ntwo\n"
    os.close(reading)
    os.close(full)
