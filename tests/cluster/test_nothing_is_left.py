"""However a cluster ends, nothing of it stays: no process, namespace, mount, control group, link, rule or folder."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from throwaway.cluster import Cluster, cluster_of
from throwaway.errors import UnavailableError
from throwaway.processes import children, lives, wait_until
from throwaway.state import State
from throwaway.survey import namespaces, survey

LEVELS = ("api", pytest.param("node", marks=pytest.mark.slow))


def groups() -> set[str]:
    return set(survey()["group"])


def processes(folder: Path) -> list[str]:
    """Return the living processes that have the folder in their command line."""
    return [words for words in survey()["process"] if str(folder) in words]


def own_namespaces(cluster: Cluster) -> frozenset[str]:
    """Return the namespaces that the cluster has made."""
    return namespaces(below(keeper(cluster))) - namespaces([os.getpid()])


def below(pid: int) -> list[int]:
    """Return a process and all that it has started."""
    return [pid, *(found for child in children(pid) for found in below(child))]


def keeper(cluster: Cluster) -> int:
    return int(cluster.keeper.partition("-")[0])


def down(cluster: Cluster) -> None:
    cluster.down()


def kill_the_keeper(cluster: Cluster) -> None:
    os.kill(keeper(cluster), signal.SIGKILL)


def kill_the_supervisor(cluster: Cluster) -> None:
    os.kill(children(keeper(cluster))[0], signal.SIGKILL)


def kill_a_component(cluster: Cluster) -> None:
    below = children(keeper(cluster))
    supervisor = below[0] if cluster.level != "node" else children(below[0])[0]
    os.kill(children(supervisor)[0], signal.SIGKILL)


def kill_all_at_once(cluster: Cluster) -> None:
    pids = [keeper(cluster), *children(keeper(cluster))]
    pids += [pid for child in pids[1:] for pid in children(child)]
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    for pid in pids:
        os.kill(pid, signal.SIGKILL)


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path / "cluster"
    Cluster(State(tmp_path / "cluster")).down()


def booted(level: str, folder: Path, owner: int | None = None) -> Cluster:
    try:
        cluster = cluster_of(level, folder=folder)
    except UnavailableError as reason:
        pytest.skip(str(reason))
    cluster.up(owner=owner)
    return cluster


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("end", [down, kill_the_keeper, kill_the_supervisor, kill_a_component])
def test_nothing_stays_on_the_machine(level: str, folder: Path, end: Callable[[Cluster], None]) -> None:
    before = survey()
    cluster = booted(level, folder)
    assert cluster.run("kubectl", "get", "--raw", "/readyz").stdout == "ok"
    assert processes(folder)
    who, made = cluster.keeper, own_namespaces(cluster)
    assert bool(made) == (level == "node")
    end(cluster)
    wait_until(lambda: not processes(folder) and not lives(who), "all processes to end", timeout_s=30)
    assert {path.name for path in folder.glob("*")} <= {"log"}
    after = survey()
    assert not made & after["namespace"]
    assert not [group for group in after["group"] if who in group]
    for kind in ("link", "nft", "folder"):  # clusters of other runs come and go below /tmp
        assert not [name for name in after[kind] - before[kind] if not name.startswith("/tmp/")]
    assert not [mount for mount in after["mount"] - before["mount"] if str(folder) in mount or "nsfs" in mount]


def test_a_client_in_python_writes_no_key_below_tmp(folder: Path, tmp_path: Path) -> None:
    """The kubernetes package keeps what a kubeconfig holds in files, which a killed process leaves."""
    cluster = booted("api", folder)
    scratch = tmp_path / "tmp"
    scratch.mkdir()
    asking = (
        "from kubernetes import client, config; config.load_kube_config(); print(client.VersionApi().get_code().major)"
    )
    killed = f"{asking}; import os; os._exit(0)"
    done = subprocess.run(
        [sys.executable, "-c", killed], env={**cluster.env, "TMPDIR": str(scratch), "PYTHONUNBUFFERED": "1"},
        text=True, capture_output=True, check=True,
    )  # fmt: skip
    assert done.stdout.strip() == "1"
    assert not list(scratch.iterdir())


def test_a_cluster_ends_with_its_owner(folder: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as owner:
        cluster = booted("api", folder, owner.pid)
        who = cluster.keeper
        owner.kill()
    wait_until(lambda: not lives(who), "the keeper to end", timeout_s=30)
    assert not processes(folder)
    assert not folder.exists()


@pytest.mark.slow
def test_the_next_cluster_removes_what_nobody_was_left_to_remove(folder: Path) -> None:
    cluster = booted("node", folder)
    who = cluster.keeper
    kill_all_at_once(cluster)
    wait_until(lambda: not processes(folder), "all processes to end", timeout_s=30)
    assert [group for group in groups() if who in group]
    booted("api", folder.with_name("another")).down()
    assert not [group for group in groups() if who in group]
    cluster.up()
    assert cluster.run("kubectl", "get", "--raw", "/readyz").stdout == "ok"
