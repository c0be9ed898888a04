"""A throwaway API server with both CRDs, and the tables that Python is held to as well."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlparse

import pytest

REPOSITORY = Path(__file__).parents[2]
CRDS = ("scalingexperiments", "scalingtrials")

sys.path.insert(0, str(REPOSITORY / "tests/unit/api"))

Kubectl = Callable[..., subprocess.CompletedProcess[str]]


def run_kubectl(*arguments: str, document: str = "", is_checked: bool = False) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["kubectl", *arguments], input=document, text=True, capture_output=True, timeout=60, check=is_checked
    )


def why_not() -> str:
    """Return why there is no API server to test on; empty where there is one."""
    if not os.environ.get("KUBECONFIG"):
        return "KUBECONFIG names no API server to test on"
    if not shutil.which("kubectl"):
        return "kubectl is not installed"
    server = run_kubectl("config", "view", "--minify", "-o", "jsonpath={.clusters[0].cluster.server}").stdout
    if urlparse(server).hostname not in {"127.0.0.1", "localhost", "::1"}:
        return "KUBECONFIG names an API server elsewhere; these tests install CRDs, on a local one alone"
    return "" if run_kubectl("get", "--raw", "/readyz").returncode == 0 else f"the API server {server} is not ready"


@pytest.fixture(scope="session")
def kubectl() -> Iterator[Kubectl]:
    """Run kubectl in a namespace of its own, where both CRDs are installed."""
    if reason := why_not():
        pytest.skip(reason)
    for name in CRDS:
        run_kubectl(
            "apply", "--server-side", "--force-conflicts", "-f", str(REPOSITORY / f"crds/{name}.yaml"), is_checked=True
        )
    crds = [f"crd/{name}.scalinglaws.dev" for name in CRDS]
    run_kubectl("wait", "--for=condition=Established", "--timeout=30s", *crds, is_checked=True)
    namespace = f"scaling-api-{os.getpid()}"
    run_kubectl("create", "namespace", namespace, is_checked=True)
    yield lambda *arguments, document="": run_kubectl("-n", namespace, *arguments, document=document)
    run_kubectl("-n", namespace, "delete", "scalingexperiments,scalingtrials", "--all", is_checked=True)
    run_kubectl("delete", "namespace", namespace, "--wait=false", is_checked=True)
