"""What every test on the control plane begins with."""

from pathlib import Path

import pytest
from operators import Bed

from throwaway import add_ons
from throwaway.api_server import ApiServer
from throwaway.errors import ClusterError, UnavailableError


def know_kuberay(server: ApiServer) -> None:
    """Make KubeRay's kinds known to the API server; skip the test where they cannot be had."""
    try:
        if server.kubectl("get", "crd/rayjobs.ray.io").returncode:
            add_ons.install_crds(add_ons.KUBERAY, server)
    except (UnavailableError, ClusterError, StopIteration, OSError) as reason:
        pytest.skip(f"KubeRay's CRDs cannot be installed: {reason}")


def made_bed(server: ApiServer, namespace: str, folder: Path) -> Bed:
    """Return a namespace in which KubeRay's kinds are known."""
    know_kuberay(server)
    return Bed(server, namespace, folder)
