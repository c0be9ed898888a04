"""The folder's own modules, the API's tables of examples, and the command itself."""

import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1] / "api")]


@pytest.fixture
def scaling(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., Result]:
    """Run the command in this process, in a folder of its own; bugs raise."""
    from scaling_cli.__main__ import app

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "120")

    def run(*arguments: object, document: str = "") -> Result:
        files = ["-" if argument == "-" else str(argument) for argument in arguments]
        result = CliRunner().invoke(app, files, input=document)
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    return run


@pytest.fixture
def shared_data() -> Path:
    """The published tables that fits are held to."""
    folder = Path(os.environ.get("SCALING_DATA", Path(__file__).parents[4] / "shared/data"))
    if not folder.is_dir():
        pytest.skip(f"there is no {folder}; SCALING_DATA may name the published tables")
    return folder
