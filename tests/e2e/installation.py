"""The operator on a cluster, installed by its chart as an administrator would."""

import json
import os
import shutil
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import ray
from ruamel.yaml import YAML

from throwaway import add_ons, base_image, machine_volume
from throwaway.api_server import ApiServer, of_cluster
from throwaway.cluster import Cluster, cluster_of
from throwaway.errors import ClusterError

REPOSITORY = Path(__file__).parents[2]
CHART = REPOSITORY / "charts/scaling-operator"
NAMESPACE = "scaling-system"
RELEASE = "scaling-operator"
POD_USER = 10001
VALUES = "SCALING_E2E_VALUES"
"""Names a values file for a cluster that KUBECONFIG names: where its images are, which storage it has."""
Values = dict[str, Any]


@dataclass(frozen=True)
class Site:
    """A cluster with KubeRay, and what the operator is told about it."""

    server: ApiServer
    values: Values
    results: Path | None = None
    """Folder of the machine with the namespaces' results; None where the cluster provides volumes itself."""
    cluster: Cluster | None = field(default=None, repr=False)
    """The throwaway cluster, where it is one."""

    def install(self, **settings: Any) -> None:
        """Install the operator, or change its settings, and return once it is ready.

        Raises:
            ClusterError: It did not become ready.
        """
        prepare_namespace(self, NAMESPACE)
        self.server.must("apply", "--server-side", "--force-conflicts", "-f", str(CHART / "crds"))
        values = {**self.values, "settings": {**self.values.get("settings", {}), **settings}}
        done = self.server.run(
            "helm", "upgrade", "--install", RELEASE, str(CHART), "--namespace", NAMESPACE, "--values", "-",
            "--wait", "--timeout", "300s",
            document=json.dumps(values), timeout_s=600,
        )  # fmt: skip
        if done.returncode:
            raise ClusterError(f"the chart was not installed: {done.stderr.strip()}\n{operator_log(self.server)}")


def operator_log(server: ApiServer) -> str:
    """Return what the operator's pods are and say."""
    words = (("get", "pods"), ("get", "events"), ("logs", f"deployment/{RELEASE}", "--tail=40"))
    return "\n".join(server.kubectl("-n", NAMESPACE, *those).stdout for those in words)


def throwaway_site(cluster: Cluster) -> Site:
    """Return a site on a node of this machine that is up: base image and KubeRay are installed.

    Pods run the machine's virtualenv and the repository's sources, mounted read-only.
    """
    cluster.load(base_image.base_image())
    add_ons.install(add_ons.KUBERAY, cluster)
    results = cluster.state.folder / "results"
    results.mkdir()
    return Site(of_cluster(cluster), machine_values(), results, cluster)


def given_site(server: ApiServer) -> Site:
    """Return a site on a cluster that has KubeRay and images already, and provides volumes."""
    if server.kubectl("get", "crd/rayjobs.ray.io").returncode:
        raise ClusterError("the cluster of KUBECONFIG has no KubeRay: install it first")
    named = os.environ.get(VALUES)
    return Site(server, YAML(typ="safe", pure=True).load(Path(named)) if named else {})


def machine_values() -> Values:
    """Return the chart's values for pods that run this machine's virtualenv."""
    name, _, tag = base_image.NAME.rpartition(":")
    volumes = [machine_volume.volume()]
    mounts = machine_volume.mounts(machine_volume.mounted_folders(REPOSITORY))
    python = f"{sys.prefix}/bin/python"
    trainer = {"image": base_image.NAME, "pullPolicy": "Never", "rayVersion": ray.__version__, "python": python}
    return {
        "image": {"repository": name, "tag": tag, "pullPolicy": "Never"},
        "command": [python, "-m", "scaling_operator"],
        "volumes": volumes,
        "volumeMounts": mounts,
        "env": machine_volume.env(),
        "resources": {"requests": {"cpu": "100m", "memory": "256Mi"}},
        "settings": {
            "trainer": trainer,
            "pods": {"volumes": volumes, "volumeMounts": mounts, "env": machine_volume.env()},
            "cpuFallback": True,
            "kueue": {"enabled": True},  # it is installed where a test asks for it; others do not notice
            **machine_resources(os.cpu_count() or 2),
        },
    }  # fmt: skip


def machine_resources(cores: int) -> Values:
    """Return sizes of pods that fit side by side on the machine: requests are limits, and others want cores too."""
    head = 1 if cores > 2 else "500m"
    return {
        "defaultHead": {"resources": {"cpu": head, "memory": "3Gi"}},
        "defaultResources": {"cpu": 1, "memory": "3Gi"},
        "defaultPool": {
            "name": "cpu",
            "resources": {"cpu": max(1, cores - 2), "memory": "4Gi"},
            "minNodes": 0,
            "maxNodes": 1,
        },
        "ray": {"autoscaler": {"cpu": "200m", "memory": "512Mi"}},
    }


def prepare_namespace(site: Site, namespace: str) -> None:
    """Make a namespace that enforces the restricted pod security profile, with the claims that its pods mount."""
    labels = {f"pod-security.kubernetes.io/{mode}": "restricted" for mode in ("enforce", "warn")}
    documents = [{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace, "labels": labels}}]
    if site.results:
        results = site.results / namespace
        results.mkdir(exist_ok=True)
        shutil.chown(results, POD_USER, POD_USER)
        documents += machine_volume.claimed(
            Path("/"), namespace=namespace, claim=machine_volume.CLAIM, mode="ReadOnlyMany"
        )
        documents += machine_volume.claimed(results, namespace=namespace, claim="scaling-results", mode="ReadWriteMany")
    apply(site.server, *documents)


def remove_namespace(site: Site, namespace: str) -> None:
    """Remove a namespace; its pods' cores are free at once, the rest goes while the next test begins."""
    # First, so that nobody makes a pod again.
    site.server.must("delete", "namespace", namespace, "--wait=false")
    site.server.must("-n", namespace, "delete", "pods", "--all", "--grace-period=0", "--force", "--wait=false")
    if site.results:
        claims = (machine_volume.CLAIM, "scaling-results")
        site.server.must("delete", *(f"pv/{namespace}-{claim}" for claim in claims), "--wait=false")


def apply(server: ApiServer, *documents: dict[str, Any]) -> None:
    """Apply objects server-side."""
    listed = {"apiVersion": "v1", "kind": "List", "items": documents}
    server.must("apply", "--server-side", "--force-conflicts", "-f", "-", document=json.dumps(listed))


def node_cluster(folder: Path) -> Cluster:
    """Return a cluster of level node whose programs are built."""
    return cluster_of("node", folder=folder, extra=("kuberay", "helm"))
