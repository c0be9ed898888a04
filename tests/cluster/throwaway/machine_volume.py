"""The machine's Python, virtualenv and repository in pods, read-only and at the same paths, without an image.

They come through a claim on the machine's root folder, of which only these paths are mounted: the restricted pod
security profile refuses hostPath volumes in pods, but not claims. It is the fastest way to torch, which is gigabytes.
"""

import site
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

Manifest = dict[str, Any]
CLAIM: Final = "machine"
READ_AND_ENTER: Final = 0o005
SYSTEM: Final = Path("/usr")
"""A Python installed here is in the base image too: it is made from the machine's release."""


def mounted_folders(repository: Path) -> tuple[Path, ...]:
    """Return the folders that the running interpreter needs, none inside another."""
    wanted = {Path(sys.prefix), Path(sys.base_prefix).resolve(), repository.resolve(), *linked_folders()}
    wanted = {path for path in wanted if path.is_dir() and not path.is_relative_to(SYSTEM)}
    return tuple(sorted(path for path in wanted if not any(path.is_relative_to(other) for other in wanted - {path})))


@contextmanager
def open_to_all(folders: Iterable[Path]) -> Iterator[None]:
    """Let pods, which run as nobody in particular, into folders that are their owner's alone, such as mktemp's."""
    modes = {folder: folder.stat().st_mode for folder in folders}
    closed = {folder: mode for folder, mode in modes.items() if mode & READ_AND_ENTER != READ_AND_ENTER}
    for folder, mode in closed.items():
        folder.chmod(mode | READ_AND_ENTER)
    try:
        yield
    finally:
        for folder, mode in closed.items():
            folder.chmod(mode)


def linked_folders() -> Iterable[Path]:
    """Yield the folders that .pth files add to the interpreter's path."""
    for packages in map(Path, site.getsitepackages()):
        for file in packages.glob("*.pth"):
            lines = file.read_text().splitlines()
            yield from (Path(line).resolve() for line in lines if line.startswith("/"))


def volume() -> Manifest:
    """Return the pods' volume."""
    return {"name": CLAIM, "persistentVolumeClaim": {"claimName": CLAIM, "readOnly": True}}


def mounts(folders: Iterable[Path]) -> list[Manifest]:
    """Return the containers' mounts."""
    return [
        {"name": CLAIM, "mountPath": str(folder), "subPath": str(folder.relative_to("/")), "readOnly": True}
        for folder in folders
    ]


def env() -> list[Manifest]:
    """Return the containers' variables: the virtualenv first on the PATH."""
    path = f"{sys.prefix}/bin:/usr/local/bin:/usr/bin:/bin"
    return [{"name": "PATH", "value": path}, {"name": "PYTHONDONTWRITEBYTECODE", "value": "1"}]


def claimed(folder: Path, *, namespace: str, claim: str, mode: str) -> list[Manifest]:
    """Return a volume on a folder of the machine, and the namespace's claim on it."""
    name = f"{namespace}-{claim}"
    size = {"storage": "100Gi"}
    return [
        {
            "apiVersion": "v1",
            "kind": "PersistentVolume",
            "metadata": {"name": name},
            "spec": {
                "capacity": size,
                "accessModes": [mode],
                "persistentVolumeReclaimPolicy": "Retain",
                "storageClassName": "",
                "hostPath": {"path": str(folder)},
                "claimRef": {"namespace": namespace, "name": claim},
            },
        },
        {
            "apiVersion": "v1",
            "kind": "PersistentVolumeClaim",
            "metadata": {"name": claim, "namespace": namespace},
            "spec": {
                "accessModes": [mode],
                "storageClassName": "",
                "volumeName": name,
                "resources": {"requests": size},
            },
        },
    ]
