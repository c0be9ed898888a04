"""Fixtures of all suites: one API server for the whole run, however many workers it has, and namespaces on it.

The first test that asks boots it; it ends with the run, also with one that is killed.
"""

import os
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from throwaway import api_server as servers
from throwaway.api_server import ApiServer
from throwaway.build import cache
from throwaway.cluster import Cluster, best_control_plane, cluster_of
from throwaway.errors import UnavailableError
from throwaway.locks import locked
from throwaway.processes import wait_until
from throwaway.state import State

REPOSITORY = Path(__file__).parents[1]
CRDS = ("scalingexperiments", "scalingtrials")
RUN = pytest.StashKey[int]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-golden", action="store_true", help="write golden files as they are now")


def pytest_configure(config: pytest.Config) -> None:
    """The run is known by its first process, which the others are told by xdist."""
    config.stash[RUN] = getattr(config, "workerinput", {}).get("run", os.getpid())


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    node.workerinput["run"] = node.config.stash[RUN]


def pytest_unconfigure(config: pytest.Config) -> None:
    if config.stash[RUN] == os.getpid() and (folder := folder_of(os.getpid())).exists():
        Cluster(State(folder)).down()


def folder_of(run: int) -> Path:
    return Path(tempfile.gettempdir(), f"scaling-tests-{run}")


@pytest.fixture(scope="session")
def api_server(pytestconfig: pytest.Config) -> ApiServer:
    """An API server with both CRDs: the one that KUBECONFIG names, or a throwaway one of level control.

    Where only KUBEBUILDER_ASSETS can be had it is of level api: no garbage collection, no namespace deletion.
    """
    try:
        given = servers.given()
    except UnavailableError as reason:
        pytest.skip(str(reason))
    if given:
        install_crds(given)
    return given or shared_cluster(pytestconfig.stash[RUN])


def shared_cluster(run: int) -> ApiServer:
    folder = folder_of(run)
    try:
        cluster = cluster_of(best_control_plane(), folder=folder)
    except UnavailableError as reason:
        pytest.skip(str(reason))
    with locked(cache() / "boot.lock"):  # of all runs: a file beside the cluster would outlive a killed run
        if not cluster.is_up:
            cluster.up(owner=run)
            install_crds(servers.of_cluster(cluster))
    return servers.of_cluster(cluster)


def install_crds(server: ApiServer) -> None:
    files = [word for name in CRDS for word in ("-f", str(REPOSITORY / f"crds/{name}.yaml"))]
    server.must("apply", "--server-side", "--force-conflicts", *files)
    crds = [f"crd/{name}.scalinglaws.dev" for name in CRDS]
    server.must("wait", "--for=condition=Established", "--timeout=30s", *crds)
    # kubectl explain and strict validation read the OpenAPI document, which follows a little later.
    kinds = [name.removesuffix("s") for name in CRDS]
    wait_until(
        lambda: not any(server.kubectl("explain", f"{kind}.spec").returncode for kind in kinds),
        "the CRDs' documentation",
        timeout_s=30,
    )


@pytest.fixture
def control_plane(api_server: ApiServer) -> ApiServer:
    """The API server, with controllers: garbage collection, namespace deletion, service accounts."""
    if api_server.level == "api":
        pytest.skip("there are no controllers: the cluster is of level api")
    return api_server


@contextmanager
def made_namespace(server: ApiServer) -> Iterator[str]:
    name = f"scaling-test-{uuid.uuid4().hex[:8]}"
    server.must("create", "namespace", name)
    yield name
    server.must("delete", "namespace", name, "--wait=false")


@pytest.fixture
def namespace(api_server: ApiServer) -> Iterator[str]:
    """A namespace of the test's own."""
    with made_namespace(api_server) as name:
        yield name


@pytest.fixture(scope="module")
def module_namespace(api_server: ApiServer) -> Iterator[str]:
    """A namespace that the tests of a module share."""
    with made_namespace(api_server) as name:
        yield name
