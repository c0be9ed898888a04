"""An API server to test on: one that KUBECONFIG names, or a throwaway cluster's."""

import os
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlparse

from throwaway.cluster import Cluster
from throwaway.errors import ClusterError, UnavailableError

LOOPBACK: Final = {"127.0.0.1", "localhost", "::1"}
CONSENT: Final = "SCALING_TEST_CLUSTER"
"""Set to 1, it lets tests use a cluster elsewhere than on loopback: they install CRDs and make namespaces."""


@dataclass(frozen=True)
class ApiServer:
    """How to reach an API server."""

    kubeconfig: Path
    level: str
    """api, control or node: what there is besides etcd and kube-apiserver."""
    env: Mapping[str, str]
    """Environment with KUBECONFIG and a PATH on which kubectl is."""

    def run(self, *command: str, document: str = "", timeout_s: float = 120) -> subprocess.CompletedProcess[str]:
        """Run a command that finds the cluster by KUBECONFIG, with `document` on its standard input."""
        return subprocess.run(
            command, env=self.env, input=document, text=True, capture_output=True, timeout=timeout_s, check=False
        )

    def kubectl(self, *words: str, document: str = "", timeout_s: float = 120) -> subprocess.CompletedProcess[str]:
        """Run kubectl."""
        return self.run("kubectl", *words, document=document, timeout_s=timeout_s)

    def must(self, *words: str, document: str = "", timeout_s: float = 120) -> str:
        """Run kubectl and return what it printed.

        Raises:
            ClusterError: It failed.
        """
        done = self.kubectl(*words, document=document, timeout_s=timeout_s)
        if done.returncode:
            raise ClusterError(f"kubectl {' '.join(words)}: {done.stderr.strip()}")
        return done.stdout


def of_cluster(cluster: Cluster) -> ApiServer:
    """Return a throwaway cluster's."""
    return ApiServer(cluster.kubeconfig, cluster.level, cluster.env)


def given() -> ApiServer | None:
    """Return the API server that KUBECONFIG names; None where it names none that tests may use.

    Raises:
        UnavailableError: It names one that tests may use, but cannot.
    """
    named = os.environ.get("KUBECONFIG")
    if not named:
        return None
    if not shutil.which("kubectl"):
        raise UnavailableError("KUBECONFIG is set, but kubectl is not installed")
    server = ApiServer(Path(named), "", {**os.environ})
    address = server.kubectl("config", "view", "--minify", "-o", "jsonpath={.clusters[0].cluster.server}").stdout
    if os.environ.get(CONSENT) != "1" and urlparse(address).hostname not in LOOPBACK:
        return None
    if server.kubectl("get", "--raw", "/readyz", timeout_s=30).returncode:
        raise UnavailableError(f"the API server {address} of KUBECONFIG is not ready")
    return ApiServer(server.kubeconfig, level_of(server), server.env)


def level_of(server: ApiServer) -> str:
    if (
        "True"
        in server.kubectl("get", "nodes", "-o", "jsonpath={..status.conditions[?(@.type=='Ready')].status}").stdout
    ):
        return "node"
    return "api" if server.kubectl("get", "serviceaccount", "default", "-n", "default").returncode else "control"
