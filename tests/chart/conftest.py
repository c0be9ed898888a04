"""Helm, and the folder's own modules."""

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from throwaway.build import folder_of
from throwaway.programs import ALL

Run = Callable[..., subprocess.CompletedProcess[str]]

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture(scope="session")
def program() -> Callable[[str], str]:
    """Return the path of a program that the throwaway clusters' tool builds, or that is installed."""

    def found(name: str) -> str:
        built = folder_of(ALL[name]) / name
        path = str(built) if built.exists() else shutil.which(name)
        if not path:
            pytest.skip(f"{name} is neither built nor installed")
        return path

    return found


@pytest.fixture(scope="session")
def helm(program: Callable[[str], str]) -> Run:
    """Run helm."""
    path = program("helm")

    def run(*words: str, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
        return subprocess.run([path, *words], capture_output=True, text=True, timeout=180, check=False, env=env)

    return run
