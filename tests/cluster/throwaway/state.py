"""The folder that holds one cluster, and the addresses inside it."""

import json
import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

NODE_NAME: Final = "node"
# These exist in the node's own network namespace alone, which has no way out: they can neither clash with the
# machine's addresses nor reach anything else.
NODE_IP: Final = "10.96.255.1"
POD_CIDR: Final = "10.97.0.0/24"
SERVICE_CIDR: Final = "10.96.0.0/24"
API_SERVICE_IP: Final = "10.96.0.1"


def default_folder() -> Path:
    """Return where `make cluster-up` keeps its cluster; CLUSTER_STATE names another place."""
    return Path(os.environ.get("CLUSTER_STATE") or Path(tempfile.gettempdir(), f"scaling-cluster-{os.getuid()}"))


@dataclass(frozen=True)
class State:
    """Paths below a cluster's folder."""

    folder: Path

    @property
    def kubeconfig(self) -> Path:
        """The administrator's."""
        return self.folder / "kubeconfig"

    @property
    def pki(self) -> Path:
        """Keys and certificates."""
        return self.folder / "pki"

    @property
    def config(self) -> Path:
        """Files that the components read."""
        return self.folder / "config"

    @property
    def logs(self) -> Path:
        """One file a component."""
        return self.folder / "log"

    @property
    def ready(self) -> Path:
        """Exists once the cluster is."""
        return self.folder / "ready"

    @property
    def keeper(self) -> Path:
        """Identity of the process that keeps the cluster."""
        return self.folder / "keeper"

    @property
    def level(self) -> Path:
        """What was booted."""
        return self.folder / "level"

    def make(self) -> None:
        """Make the folders, readable to their owner alone: they hold an administrator's key."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for folder in (self.pki, self.config, self.logs):
            folder.mkdir()

    def remove(self, *, but_logs: bool = False) -> None:
        """Remove everything, or everything but what explains a failure."""
        if not but_logs:
            shutil.rmtree(self.folder, ignore_errors=True)
        elif self.folder.is_dir():
            for path in self.folder.iterdir():
                if path != self.logs:
                    shutil.rmtree(path) if path.is_dir() else path.unlink()


def write_json(path: Path, value: Any) -> Path:
    """Write a configuration file and return its path."""
    path.write_text(json.dumps(value, indent=2))
    return path


def tail(path: Path, lines: int = 20) -> str:
    """Return the end of a log."""
    return "\n".join(path.read_text(errors="replace").splitlines()[-lines:]) if path.exists() else ""
