"""What a level needs of this machine, in words for who lacks it."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from throwaway import cgroups

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


def why_not(level: str, folder: Path) -> str:
    """Return why this machine cannot run that level in that folder; empty where it can."""
    return next(reasons(level, folder), "")


def reasons(level: str, folder: Path) -> Iterator[str]:
    if not hasattr(os, "pidfd_open"):
        yield "clusters for tests run on Linux alone (5.3 or later); set KUBECONFIG to use one elsewhere"
    for program, package in (*ALWAYS, *(OF_NODE if level == "node" else ())):
        if not shutil.which(program):
            yield f"{program} is not installed: apt-get install {package}"
    if level == "node":
        yield from reasons_of_node(folder)


def reasons_of_node(folder: Path) -> Iterator[str]:
    if os.geteuid() != 0:
        yield "a node needs root (it makes namespaces, mounts and control groups); set KUBECONFIG to use another"
    if not cgroups.hierarchies():
        yield f"a node needs control groups, and there are none below {cgroups.ROOT}"
    for covered in COVERED:
        if folder.resolve().is_relative_to(covered):
            yield f"a node cannot be kept below {covered}, which it covers: set CLUSTER_STATE to another folder"
