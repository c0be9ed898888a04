"""A namespace on a real control plane where KubeRay's kinds are known."""

import sys
from pathlib import Path

import pytest

from throwaway.api_server import ApiServer

sys.path.insert(0, str(Path(__file__).parent))

from beds import made_bed
from operators import Bed


@pytest.fixture
def bed(control_plane: ApiServer, namespace: str, tmp_path: Path) -> Bed:
    """A namespace in which KubeRay's kinds are known."""
    return made_bed(control_plane, namespace, tmp_path)
