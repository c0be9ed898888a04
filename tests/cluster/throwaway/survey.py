"""What a cluster could leave on a machine, listed so that before and after can be compared."""

import os
import shutil
import subprocess
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from throwaway import cgroups

PROC: Final = Path("/proc")
KUBELETS_OWN: Final = "kubepods"
"""What the kubelet's groups are called, wherever it makes them."""
# Where a node's programs write by default, and where this project keeps clusters.
FOLDERS: Final = (
    "/etc/cni", "/etc/containerd", "/etc/kubernetes", "/opt/cni", "/run/containerd", "/run/kubernetes", "/run/netns/*",
    "/tmp/scaling-*", "/var/lib/cni", "/var/lib/containerd", "/var/lib/etcd", "/var/lib/kubelet/*", "/var/log/pods",
    "/var/run/kubernetes",
)  # fmt: skip

Survey = dict[str, frozenset[str]]


def survey() -> Survey:
    """Return what there is on the machine, by kind. Two surveys of a machine at rest are equal."""
    found = {
        "process": processes(),
        "namespace": namespaces(pids()),
        "mount": Path("/proc/self/mounts").read_text().splitlines(),
        "group": groups(),
        "link": (path.name for path in Path("/sys/class/net").iterdir()),
        "nft": nft_rules(),
        "folder": folders(),
    }
    return {kind: frozenset(names) for kind, names in found.items()}


def lines(found: Survey) -> list[str]:
    """Return a survey as lines in order, for `diff`."""
    return [f"{kind}\t{name}" for kind in sorted(found) for name in sorted(found[kind])]


def pids() -> list[int]:
    """Return all processes."""
    return [int(path.name) for path in PROC.iterdir() if path.name.isdigit()]


def processes() -> Iterator[str]:
    """Yield the command lines of all processes but this one and those that wait for it."""
    us = set(ancestors(os.getpid()))
    for pid in pids():
        words = command_line(pid)
        if words and pid not in us:
            yield words


def command_line(pid: int) -> str:
    """Return a process's command line; empty of one that has ended, and of the kernel's own."""
    try:
        return (PROC / str(pid) / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
    except OSError:
        return ""


def ancestors(pid: int) -> Iterator[int]:
    """Yield a process and all above it."""
    while pid > 0:
        yield pid
        try:
            pid = int((PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()[1])
        except OSError:
            return


def namespaces(of: Iterable[int]) -> frozenset[str]:
    """Return the namespaces of these processes, such as net:[4026531840]."""
    return frozenset(name for pid in of for name in namespaces_of(pid))


def namespaces_of(pid: int) -> Iterator[str]:
    try:
        for path in (PROC / str(pid) / "ns").iterdir():
            yield str(path.readlink())
    except OSError:  # it has ended meanwhile
        return


def groups() -> Iterator[str]:
    """Yield the control groups of nodes."""
    for hierarchy in cgroups.hierarchies():
        yield from map(str, hierarchy.glob(f"{cgroups.PREFIX}*"))
        yield from map(str, hierarchy.glob(f"{KUBELETS_OWN}*"))


def nft_rules() -> list[str]:
    """Return the rules of nftables in this network namespace; none for who may not see them."""
    if not shutil.which("nft"):
        return []
    return subprocess.run(["nft", "list", "ruleset"], capture_output=True, text=True, check=False).stdout.splitlines()


def folders() -> Iterator[str]:
    """Yield the folders of FOLDERS that are there."""
    for pattern in FOLDERS:
        yield from (str(path) for path in Path("/").glob(pattern.lstrip("/")))
