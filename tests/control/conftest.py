"""A namespace on a real control plane, KubeRay's CRDs, and what serves them."""

import sys
from pathlib import Path

import pytest

from throwaway import add_ons
from throwaway.api_server import ApiServer
from throwaway.errors import ClusterError, UnavailableError

sys.path.insert(0, str(Path(__file__).parent))

from operators import Bed


@pytest.fixture
def bed(control_plane: ApiServer, namespace: str, tmp_path: Path) -> Bed:
    """A namespace in which KubeRay's kinds are known."""
    try:
        add_ons.install_crds(add_ons.KUBERAY, control_plane)
    except (UnavailableError, ClusterError, StopIteration, OSError) as reason:
        pytest.skip(f"KubeRay's CRDs cannot be installed: {reason}")
    return Bed(control_plane, namespace, tmp_path)
