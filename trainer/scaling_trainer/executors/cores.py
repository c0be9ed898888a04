"""How many one-thread processes this process may keep busy."""

import math
import os
import sys
from collections.abc import Iterator
from pathlib import Path


def usable_cores(root: Path = Path("/")) -> int:
    """Return the number of cores to use: those that the process may run on, within the CPU quota of its cgroups.

    A quota of a part of a core counts as a whole one: the last lane is slower, but no share is left unused. Where
    cgroups cannot be read, as outside Linux, only the cores count.

    Args:
        root: where `proc` and `sys` are found.
    """
    return max(1, min(_allowed_cores(), *(math.ceil(quota) for quota in _quotas(root)), sys.maxsize))


def _allowed_cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _quotas(root: Path) -> Iterator[float]:
    """Yield every CPU quota above this process, in cores, of cgroup v2 and v1."""
    for folder, is_unified in _cgroup_folders(root):
        quota = _quota_v2(folder) if is_unified else _quota_v1(folder)
        if quota is not None:
            yield quota


def _cgroup_folders(root: Path) -> Iterator[tuple[Path, bool]]:
    """Yield the folders of this process's CPU cgroups and all above them, with whether they are version 2.

    In a container the path may be the host's, which is not to be seen there: the mount's root stands for it.
    """
    for controllers, inner in _memberships(root / "proc/self/cgroup"):
        is_unified = controllers == ""
        if is_unified or "cpu" in controllers.split(","):
            mounts = ("", "unified") if is_unified else (controllers, "cpu", "cpu,cpuacct")
            for mount in dict.fromkeys(mounts):
                base = root / "sys/fs/cgroup" / mount
                leaf = base / inner.lstrip("/")
                chain = (leaf, *leaf.parents)
                yield from ((folder, is_unified) for folder in chain if folder.is_relative_to(base))


def _memberships(path: Path) -> Iterator[tuple[str, str]]:
    try:
        lines = path.read_text().splitlines()
    except OSError:
        return
    for line in lines:
        _, _, rest = line.partition(":")
        controllers, _, inner = rest.partition(":")
        yield controllers, inner


def _quota_v2(folder: Path) -> float | None:
    try:
        quota, period = (folder / "cpu.max").read_text().split()
        return None if quota == "max" else int(quota) / int(period)
    except (OSError, ValueError, ZeroDivisionError):
        return None


def _quota_v1(folder: Path) -> float | None:
    try:
        quota = int((folder / "cpu.cfs_quota_us").read_text())
        period = int((folder / "cpu.cfs_period_us").read_text())
        return quota / period if quota > 0 else None
    except (OSError, ValueError, ZeroDivisionError):
        return None
