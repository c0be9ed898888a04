"""The operator on a real node: KubeRay, real pods, real training.

Without KUBECONFIG the suite boots a node of its own, which needs root on Linux; with it, it uses that cluster, which
must have KubeRay and be able to pull the images that the values file of SCALING_E2E_VALUES names.
"""

import json
import os
import sys
import time
import uuid
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any

import pytest

from throwaway import add_ons, machine_volume
from throwaway import api_server as servers
from throwaway.build import built
from throwaway.errors import UnavailableError
from throwaway.programs import ALL
from throwaway.state import NODE_NAME

sys.path.insert(0, str(Path(__file__).parent))

from diagnosis import describe
from documents import lasting, written
from experiments import Experiment, applied
from installation import (
    REPOSITORY,
    Site,
    apply,
    given_site,
    node_cluster,
    prepare_namespace,
    remove_namespace,
    throwaway_site,
)
from local_run import LocalRun, run_here

GPUS = 2


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker("e2e")
            item.add_marker("slow")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: Any, call: Any) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Say of a failed test how the cluster looked, before its namespace goes."""
    report = yield
    if report.when == "call" and report.failed and {"site", "namespace"} <= set(item.funcargs):
        report.sections.append(("cluster", describe(item.funcargs["site"].server, item.funcargs["namespace"])))
    return report


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A cluster with KubeRay and the operator."""
    given = servers.given()
    if given and given.level == "node":
        site = given_site(given)
        site.install()
        yield site
        return
    try:
        cluster = node_cluster(tmp_path_factory.mktemp("e2e") / "cluster")
    except UnavailableError as reason:
        pytest.exit(str(reason), returncode=1)  # who asks for these tests shall not be told that all is well
    cluster.up(owner=os.getpid())
    try:
        with machine_volume.open_to_all(machine_volume.mounted_folders(REPOSITORY)):
            site = throwaway_site(cluster)
            site.install()
            yield site
    finally:
        cluster.down()


@pytest.fixture
def namespace(site: Site) -> Iterator[str]:
    """A namespace of the test's own, where the restricted pod security profile is enforced."""
    name = f"e2e-{uuid.uuid4().hex[:8]}"
    prepare_namespace(site, name)
    yield name
    remove_namespace(site, name)


@pytest.fixture
def run(site: Site, namespace: str) -> Callable[[dict[str, Any]], Experiment]:
    """Apply an experiment in the test's namespace."""
    return lambda document: applied(site.server, namespace, document)


@pytest.fixture
def say(pytestconfig: pytest.Config) -> Callable[[str], None]:
    """Tell whoever runs the tests what was measured."""
    reporter = pytestconfig.pluginmanager.get_plugin("terminalreporter")
    return lambda line: reporter.write_line(f"\n{line}") if reporter else None


@pytest.fixture(scope="session")
def lasting_here(tmp_path_factory: pytest.TempPathFactory) -> LocalRun:
    """What `scaling run` makes of the lasting experiment, which several tests disturb."""
    folder = tmp_path_factory.mktemp("lasting")
    return run_here(written(lasting(), folder), folder / "results")


@pytest.fixture(scope="session")
def gpus(site: Site) -> int:
    """The node says that it has GPUs: the scheduler and Ray count them, and nothing behind them exists."""
    if not site.cluster:
        pytest.skip("a given cluster has the accelerators that it has")
    capacity = [{"op": "add", "path": "/status/capacity/nvidia.com~1gpu", "value": str(GPUS)}]
    site.server.must("patch", "node", NODE_NAME, "--subresource=status", "--type=json", "-p", json.dumps(capacity))
    allocatable = ("get", "node", NODE_NAME, "-o", "jsonpath={.status.allocatable.nvidia\\.com/gpu}")
    deadline = time.monotonic() + 300
    while site.server.must(*allocatable) != str(GPUS):  # the kubelet copies it within 10 s
        assert time.monotonic() < deadline
        time.sleep(0.5)
    return GPUS


@pytest.fixture(scope="session")
def kueue(site: Site) -> None:
    """Kueue manages RayJobs, in one ClusterQueue for all namespaces."""
    if site.server.kubectl("get", "crd/clusterqueues.kueue.x-k8s.io").returncode:
        if not site.cluster:
            pytest.skip("the given cluster has no Kueue")
        built([ALL["kueue"]])
        add_ons.install(add_ons.KUEUE, site.cluster)
    covered = ("cpu", "memory", "ephemeral-storage", "nvidia.com/gpu")
    quotas = [{"name": name, "nominalQuota": "1000" if "/" in name else "100Gi"} for name in covered]
    flavor = {"apiVersion": "kueue.x-k8s.io/v1beta2", "kind": "ResourceFlavor", "metadata": {"name": "any"}}
    queue = {
        "apiVersion": "kueue.x-k8s.io/v1beta2",
        "kind": "ClusterQueue",
        "metadata": {"name": "e2e"},
        "spec": {
            "namespaceSelector": {},
            "resourceGroups": [{"coveredResources": list(covered), "flavors": [{"name": "any", "resources": quotas}]}],
        },
    }
    apply(site.server, flavor, queue)


@pytest.fixture
def queue(site: Site, namespace: str, kueue: None) -> str:
    """The name of the namespace's LocalQueue."""
    local = {
        "apiVersion": "kueue.x-k8s.io/v1beta2",
        "kind": "LocalQueue",
        "metadata": {"name": "team", "namespace": namespace},
        "spec": {"clusterQueue": "e2e"},
    }
    apply(site.server, local)
    return "team"
