"""However a cluster ends, nothing of it stays: no process, mount, control group, link or folder."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from throwaway import cgroups
from throwaway.cluster import Cluster, cluster_of
from throwaway.errors import UnavailableError
from throwaway.processes import children, lives, wait_until
from throwaway.state import State

LEVELS = ("api", pytest.param("node", marks=pytest.mark.slow))


def groups() -> set[str]:
    return {str(path) for hierarchy in cgroups.hierarchies() for path in hierarchy.glob(f"{cgroups.PREFIX}*")}


def processes(folder: Path) -> list[str]:
    """Return the living processes that have the folder in their command line."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes()
        except OSError:  # it has ended meanwhile
            continue
        if str(folder).encode() in words:
            found.append(words.replace(b"\0", b" ").decode())
    return found


def machine() -> dict[str, set[str]]:
    """Return what a cluster could leave outside its folder."""
    links = {path.name for path in Path("/sys/class/net").iterdir()}
    return {"mounts": set(Path("/proc/self/mounts").read_text().splitlines()), "links": links, "groups": groups()}


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
    before = machine()
    cluster = booted(level, folder)
    assert cluster.run("kubectl", "get", "--raw", "/readyz").stdout == "ok"
    assert processes(folder)
    who = cluster.keeper
    end(cluster)
    wait_until(lambda: not processes(folder) and not lives(who), "all processes to end", timeout_s=30)
    assert {path.name for path in folder.glob("*")} <= {"log"}
    after = machine()
    assert not after["mounts"] - before["mounts"]
    assert not after["links"] - before["links"]
    assert not [group for group in after["groups"] if who in group]


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
