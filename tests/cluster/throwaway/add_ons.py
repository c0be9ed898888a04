"""What real clusters have installed, KubeRay and Kueue, by their own manifests from the modules of their programs."""

import json
import os
import shutil
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from throwaway import api_server
from throwaway.build import folder_of
from throwaway.cluster import Cluster
from throwaway.images import Image, pack
from throwaway.programs import ALL

Document = dict[str, Any]
CONTAINER: Final = "/spec/template/spec/containers/0"


@dataclass(frozen=True)
class AddOn:
    """A controller that runs as a Deployment of one container."""

    module: str
    program: str
    namespace: str
    deployment: str
    ready: Document
    """Where it says that it is ready."""
    overlay: Document = field(default_factory=dict)
    """What the kustomization says besides."""
    files: dict[str, Document] = field(default_factory=dict)
    """Files beside the kustomization."""

    @property
    def image(self) -> str:
        """Name of the image with its program."""
        return f"localhost/{self.program}:1"

    @property
    def config(self) -> Path:
        """Its manifests; the module is built."""
        return folder_of(ALL[self.module]) / "config"

    @property
    def crds(self) -> Path:
        """The folder with its CRDs."""
        return next(path for path in (self.config / "crd/bases", self.config / "components/crd/bases") if path.is_dir())


KUBERAY: Final = AddOn(
    module="kuberay",
    program="kuberay-operator",
    namespace="kuberay-system",
    deployment="kuberay-operator",
    ready={"path": "/metrics", "port": "http"},
    overlay={"namespace": "kuberay-system"},
    files={
        "namespace.yaml": {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "kuberay-system"}},
    },
)
KUEUE: Final = AddOn(
    module="kueue",
    program="kueue",
    namespace="kueue-system",
    deployment="kueue-controller-manager",
    ready={"path": "/readyz", "port": 8081},
    overlay={
        "generatorOptions": {"disableNameSuffixHash": True},
        "configMapGenerator": [
            {
                "name": "kueue-manager-config",
                "namespace": "kueue-system",
                "behavior": "replace",
                "files": ["controller_manager_config.yaml"],
            }
        ],
    },
    files={
        "controller_manager_config.yaml": {
            "apiVersion": "config.kueue.x-k8s.io/v1beta2",
            "kind": "Configuration",
            "health": {"healthProbeBindAddress": ":8081"},
            "metrics": {"bindAddress": ":8443"},
            "webhook": {"port": 9443},
            "leaderElection": {"leaderElect": False},
            "clientConnection": {"qps": 50, "burst": 100},
            # Others would put a webhook in the way of every pod and Deployment.
            "integrations": {"frameworks": ["batch/job", "ray.io/rayjob", "ray.io/raycluster"]},
        },
    },
)


def install(add_on: AddOn, cluster: Cluster, *, timeout_s: float = 300) -> None:
    """Install an add-on's CRDs and controller on a node, and return once it is ready.

    Raises:
        ClusterError: It did not become ready.
    """
    server = api_server.of_cluster(cluster)
    load_program(add_on, cluster)
    install_crds(add_on, server)  # before the controller, which else logs errors and tries again
    with tempfile.TemporaryDirectory(dir=cluster.state.folder) as scratch:
        write_overlay(add_on, Path(scratch))
        server.must("apply", "--server-side", "--force-conflicts", "-k", scratch)
    deployment = f"deployment/{add_on.deployment}"
    waiting = ("rollout", "status", deployment, f"--timeout={timeout_s:.0f}s")
    server.must("-n", add_on.namespace, *waiting, timeout_s=timeout_s + 30)


def install_crds(add_on: AddOn, server: api_server.ApiServer) -> None:
    """Install the CRDs alone: all that clients see of a controller that is away."""
    server.must("apply", "--server-side", "--force-conflicts", "-f", str(add_on.crds))
    server.must("wait", "--for=condition=Established", "--timeout=60s", "-f", str(add_on.crds))


def load_program(add_on: AddOn, cluster: Cluster) -> None:
    """Give the node an image in which the static program is alone."""
    with tempfile.TemporaryDirectory(dir=cluster.state.folder) as scratch:
        root, archive = Path(scratch, "root"), Path(scratch, "image.tar")
        (root / "tmp").mkdir(parents=True)
        (root / "tmp").chmod(0o1777)
        shutil.copy2(folder_of(ALL[add_on.module]) / add_on.program, root / "manager")
        pack(root, archive, image=Image(add_on.image, entrypoint=("/manager",), user="65532:65532"))
        cluster.load(archive)


def write_overlay(add_on: AddOn, folder: Path) -> None:
    for name, content in add_on.files.items():
        (folder / name).write_text(json.dumps(content))
    resources = [name for name, content in add_on.files.items() if content["kind"] == "Namespace"]
    # A kustomization may refer to its base by a relative path alone.
    base = os.path.relpath(add_on.config / "default", folder.resolve())
    kustomization = {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "resources": [base, *resources],
        "patches": [{"target": {"kind": "Deployment"}, "patch": json.dumps(deployment_patch(add_on))}],
        **add_on.overlay,
    }
    (folder / "kustomization.yaml").write_text(json.dumps(kustomization))


def deployment_patch(add_on: AddOn) -> list[Document]:
    """Return changes for a cluster without a registry, where nothing else competes for the cores."""
    probe = {"httpGet": add_on.ready, "periodSeconds": 1}
    return [
        {"op": "replace", "path": f"{CONTAINER}/image", "value": add_on.image},
        {"op": "add", "path": f"{CONTAINER}/imagePullPolicy", "value": "Never"},
        {"op": "remove", "path": f"{CONTAINER}/resources"},  # 100m of a core, in KubeRay's
        {"op": "replace", "path": f"{CONTAINER}/readinessProbe", "value": probe},
    ]
