"""The control groups that a node's pods live in: `/sys/fs/cgroup/[controller/]scaling-cluster-<keeper>`.

The keeper's identity is in the name, so that what a killed cluster has left can be told from what another one uses.
"""

import os
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from throwaway.errors import ClusterError
from throwaway.processes import lives

ROOT: Final = Path("/sys/fs/cgroup")
PREFIX: Final = "scaling-cluster-"
NEEDED: Final = ("cpu", "cpuset", "memory", "pids")
"""Controllers without which the kubelet does not start."""
HANDED_DOWN: Final = (*NEEDED, "hugetlb")
"""Controllers that, on v2, the kubelet wants in its group wherever the machine has them."""


def is_version_2() -> bool:
    """Return whether the machine has the one hierarchy of cgroup v2 instead of one for each controller."""
    return (ROOT / "cgroup.controllers").exists()


def hierarchies() -> tuple[Path, ...]:
    """Return the folders under which a group is made."""
    if is_version_2():
        return (ROOT,)
    return tuple(path for path in ROOT.iterdir() if path.is_dir() and not path.is_symlink()) if ROOT.is_dir() else ()


def controllers() -> frozenset[str]:
    """Return the controllers that groups may have here."""
    if is_version_2():
        return frozenset((ROOT / "cgroup.controllers").read_text().split())
    return frozenset(path.name for path in ROOT.iterdir()) if ROOT.is_dir() else frozenset()


def make(keeper: str) -> None:
    """Make the cluster's groups.

    Raises:
        ClusterError: The machine's root group hands a controller on to none below it.
    """
    if is_version_2():
        hand_down(name for name in HANDED_DOWN if name in controllers())
    for hierarchy in hierarchies():
        (hierarchy / f"{PREFIX}{keeper}").mkdir(exist_ok=True)


def hand_down(names: Iterable[str]) -> None:
    """Let groups below the root have these controllers. It stays so: others may have come to rely on it meanwhile."""
    switch, wanted = ROOT / "cgroup.subtree_control", " ".join(f"+{name}" for name in names)
    try:
        switch.write_text(wanted)
    except OSError as error:  # EBUSY in a container whose own processes are in the root of its hierarchy
        raise ClusterError(f"control groups do not get {wanted} by {switch}: {error.strerror}") from error


def remove(keeper: str) -> None:
    """Remove the cluster's groups and all groups in them; their processes have ended."""
    for hierarchy in hierarchies():
        remove_tree(hierarchy / f"{PREFIX}{keeper}")


def sweep() -> None:
    """Remove the groups of clusters whose keeper is gone."""
    for keeper in {keeper for keeper in keepers() if not lives(keeper)}:
        remove(keeper)


def keepers() -> Iterator[str]:
    for hierarchy in hierarchies():
        yield from (path.name.removeprefix(PREFIX) for path in hierarchy.glob(f"{PREFIX}*"))


def remove_tree(folder: Path, *, timeout_s: float = 5.0) -> None:
    for parent, _, _ in os.walk(folder, topdown=False):
        deadline = time.monotonic() + timeout_s
        while not removed(Path(parent)) and time.monotonic() < deadline:
            time.sleep(0.05)


def removed(folder: Path) -> bool:
    """Remove a group; False where a process in it is still on its way out."""
    try:
        folder.rmdir()
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return True
