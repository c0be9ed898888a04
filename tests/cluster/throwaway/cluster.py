"""One throwaway cluster: up, down, and what is done with it in between."""

import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from throwaway import cgroups
from throwaway.build import built, why_not_built
from throwaway.errors import ClusterError, UnavailableError
from throwaway.needs import why_not
from throwaway.processes import children, lives, wait_until
from throwaway.programs import modules_of
from throwaway.state import State, default_folder, tail

HERE = Path(__file__).parents[1]
PORT_IS_TAKEN = "address already in use"


@dataclass(frozen=True)
class Cluster:
    """A cluster in a folder, whether it is up or not."""

    state: State
    level: str = "control"
    programs: tuple[Path, ...] = ()
    """Folders of the programs, first on the PATH of all that runs in the cluster."""

    @property
    def kubeconfig(self) -> Path:
        """The administrator's."""
        return self.state.kubeconfig

    @property
    def is_up(self) -> bool:
        """Whether it is ready and its keeper lives."""
        return self.state.ready.exists() and lives(self.keeper)

    @property
    def keeper(self) -> str:
        """Identity of the process that keeps it; empty where there is none."""
        return self.state.keeper.read_text() if self.state.keeper.exists() else ""

    @property
    def env(self) -> dict[str, str]:
        """The environment of this process with the cluster's programs and kubeconfig."""
        path = os.pathsep.join([*map(str, self.programs), os.environ.get("PATH", os.defpath)])
        # kubectl's cache, a folder for each server that it ever spoke to, goes with the cluster.
        kubectl = {"KUBECONFIG": str(self.kubeconfig), "KUBECACHEDIR": str(self.state.folder / "kubectl")}
        return {**os.environ, **kubectl, "PATH": path}

    def up(self, *, owner: int | None = None, timeout_s: float = 180) -> None:
        """Boot it; it ends with the process `owner`, if one is given.

        Raises:
            ClusterError: It did not start. Its logs stay.
        """
        said = self._boot(owner, timeout_s)
        if said and PORT_IS_TAKEN in said:  # by another process, between our choice and the program's start
            said = self._boot(owner, timeout_s)
        if said:
            raise ClusterError(f"the cluster did not start; its logs are in {self.state.logs}\n{said}")

    def _boot(self, owner: int | None, timeout_s: float) -> str:
        """Return what was said by a cluster that did not start; nothing where it did."""
        self.down()
        self.state.make()
        self.state.level.write_text(self.level)
        keep = [sys.executable, str(HERE), "keep", f"--state={self.state.folder}", f"--level={self.level}"]
        with (self.state.logs / "keeper.log").open("wb") as log:
            subprocess.run(
                [*keep, *([] if owner is None else [f"--owner={owner}"])],
                env=self.env, stdin=subprocess.DEVNULL, stdout=log, stderr=log, check=True,
            )  # fmt: skip
        keeper = self.keeper
        wait_until(lambda: self.state.ready.exists() or not lives(keeper), "the cluster", timeout_s=timeout_s)
        if self.is_up:
            return ""
        return "\n".join(tail(self.state.logs / f"{name}.log") for name in ("keeper", "supervisor")).strip()

    def down(self) -> None:
        """Take it down, however it was left, and remove what killed clusters have left."""
        keeper = self.keeper
        if lives(keeper):
            os.kill(int(keeper.partition("-")[0]), signal.SIGTERM)
            # It removes what images were unpacked to: gigabytes, in a hundred thousand files.
            wait_until(lambda: not lives(keeper), "the cluster's keeper to end", timeout_s=600)
        cgroups.sweep()
        self.state.remove()

    def run(self, *command: str, document: str = "", timeout_s: float = 120) -> subprocess.CompletedProcess[str]:
        """Run a command with the cluster's programs and kubeconfig."""
        return subprocess.run(
            command, env=self.env, input=document, text=True, capture_output=True, timeout=timeout_s, check=False
        )

    def inside(self, *command: str, is_captured: bool = False) -> subprocess.CompletedProcess[str]:
        """Run a command in the node's namespaces, where Services and cluster DNS work.

        Raises:
            ClusterError: No node is up.
        """
        enter = ("nsenter", f"--target={self.init}", "--mount", "--net", "--pid", f"--wdns={Path.cwd()}", "--")
        return subprocess.run([*enter, *command], env=self.env, text=True, capture_output=is_captured, check=False)

    @property
    def init(self) -> int:
        """The pid of the node's first process."""
        keeper = self.keeper
        below = children(int(keeper.partition("-")[0])) if lives(keeper) else []
        found = [pid for unshare in below for pid in children(unshare)]
        if self.level != "node" or not found:
            raise ClusterError("no node is up")
        return found[0]

    def load(self, archive: Path) -> None:
        """Give an image archive to the node.

        Raises:
            ClusterError: containerd refused it.
        """
        done = self.inside(
            "ctr", "-n", "k8s.io", "images", "import", "--local", str(archive.resolve()), is_captured=True
        )
        if done.returncode:
            raise ClusterError(f"{archive} was not loaded: {done.stderr.strip()}")


def cluster_of(level: str, *, folder: Path | None = None, extra: tuple[str, ...] = ()) -> Cluster:
    """Return a cluster of that level, with its programs built.

    KUBEBUILDER_ASSETS, a folder with etcd, kube-apiserver and kubectl, takes the place of the programs of level `api`.

    Raises:
        UnavailableError: Something is missing on this machine.
        ClusterError: A build failed.
    """
    folder = folder or default_folder()
    if reason := why_not(level, folder):
        raise UnavailableError(reason)
    assets = os.environ.get("KUBEBUILDER_ASSETS")
    if level == "api" and assets:
        return Cluster(State(folder), level, (checked_assets(Path(assets)),))
    return Cluster(State(folder), level, built(modules_of(level, extra)))


def checked_assets(folder: Path) -> Path:
    absent = [name for name in ("etcd", "kube-apiserver", "kubectl") if not (folder / name).exists()]
    if absent:
        raise UnavailableError(f"KUBEBUILDER_ASSETS is {folder}, and there is no {', '.join(absent)} in it")
    return folder.resolve()


def best_control_plane() -> str:
    """Return the level to test an API server at: control, or api where that is all that can be had."""
    can_build = not why_not_built(modules_of("control"))
    return "api" if os.environ.get("KUBEBUILDER_ASSETS") and not can_build else "control"
