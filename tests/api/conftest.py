"""kubectl in a namespace of its own, and the tables that Python is held to as well."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from throwaway.api_server import ApiServer

sys.path.insert(0, str(Path(__file__).parents[2] / "tests/unit/api"))

Kubectl = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def kubectl(api_server: ApiServer, module_namespace: str) -> Kubectl:
    """Run kubectl in a namespace that the module's tests share: most only ask what would happen."""
    return lambda *words, document="": api_server.kubectl("-n", module_namespace, *words, document=document)
