"""What a level needs of this machine, in words for who lacks it."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from throwaway import base_image, cgroups
from throwaway.build import packages_for, why_not_built
from throwaway.programs import modules_of

# Program, and the Debian package that brings it.
ALWAYS: Final = (("openssl", "openssl"), ("setpriv", "util-linux"))
OF_NODE: Final = (
    ("unshare", "util-linux"),
    ("nsenter", "util-linux"),
    ("mount", "mount"),
    ("ip", "iproute2"),
    ("nft", "nftables"),
    ("tar", "tar"),
)
# The node covers these with file systems of its own, so its folder must not be in them.
COVERED: Final = (Path("/var"), Path("/run"), Path("/proc"), Path("/sys"))
# What a node does first, each with a word for it. It ends with the namespaces in which it is tried.
STEPS: Final = {
    "mount a tmpfs": "mount -t tmpfs tmpfs /run",
    "mount an overlay": 'mount -t overlay overlay /var -o "lowerdir=/var,upperdir=$PWD/upper,workdir=$PWD/work"',
    "make network links": "ip link add node type veth peer name nowhere",
    "use nftables": "nft add table ip scaling",
    "forward packets": "echo 1 > /proc/sys/net/ipv4/ip_forward",
}
NAMESPACES: Final = ("unshare", "--pid", "--mount", "--mount-proc", "--net", "--fork", "--kill-child")


def why_not(level: str, folder: Path) -> str:
    """Return why this machine cannot run that level in that folder; empty where it can."""
    return next(reasons(level, folder), "")


def why_no_pods(folder: Path) -> str:
    """Return why this machine can neither boot a node in that folder nor make what its pods run; empty where it can."""
    return why_not("node", folder) or why_not_built(modules_of("node")) or base_image.why_not()


def missing_packages() -> tuple[str, ...]:
    """Return the Debian packages that a node with pods needs, and that are not here."""
    programs = (package for program, package in (*ALWAYS, *OF_NODE) if not shutil.which(program))
    return tuple(dict.fromkeys((*programs, *packages_for(modules_of("node")), *base_image.missing_packages())))


def reasons(level: str, folder: Path) -> Iterator[str]:
    if not hasattr(os, "pidfd_open"):
        yield "clusters for tests run on Linux alone (5.3 or later); set KUBECONFIG to use one elsewhere"
    if level == "node" and os.geteuid() != 0:
        yield "a node needs root (it makes namespaces, mounts and control groups); set KUBECONFIG to use another"
    for program, package in (*ALWAYS, *(OF_NODE if level == "node" else ())):
        if not shutil.which(program):
            yield f"{program} is not installed: apt-get install {package}"
    if level == "node":
        yield from reasons_of_node(folder)


def reasons_of_node(folder: Path) -> Iterator[str]:
    if not cgroups.hierarchies():
        yield f"a node needs control groups, and there are none below {cgroups.ROOT}"
    if absent := [name for name in cgroups.NEEDED if name not in cgroups.controllers()]:
        yield f"a node needs control groups with {', '.join(absent)}, which {cgroups.ROOT} does not have"
    for covered in COVERED:
        if folder.resolve().is_relative_to(covered):
            yield f"a node cannot be kept below {covered}, which it covers: set CLUSTER_STATE to another folder"
    yield from what_fails(folder)


def what_fails(folder: Path) -> Iterator[str]:
    """Yield what root may not do here, tried in namespaces that end at once."""
    beside = next(path for path in (folder, *folder.parents) if path.is_dir())
    with tempfile.TemporaryDirectory(dir=beside) as scratch:
        for name in ("upper", "work"):
            Path(scratch, name).mkdir()
        done = tried(f"cd {scratch}; " + "; ".join(f"step='{name}'; {step}" for name, step in STEPS.items()))
    if done.returncode:
        said = done.stderr.strip().partition("\n")[0]
        yield f"a node cannot be had here: root may not {done.stdout.strip() or 'make namespaces'} ({said})"


def tried(script: str) -> "subprocess.CompletedProcess[str]":
    """Run steps until one fails, whose name is then all that is printed."""
    told = f"trap '[ $? = 0 ] || echo \"$step\"' EXIT; set -e; {script}"
    return subprocess.run([*NAMESPACES, "sh", "-c", told], text=True, capture_output=True, timeout=60, check=False)
