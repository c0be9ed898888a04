"""The RayJob of an experiment and its pods."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from scaling_api.labels import EXPERIMENT, EXPERIMENT_UID, NODE_TYPE, POOL
from scaling_cli.cluster.client import Cluster, Manifest
from scaling_cli.cluster.errors import RefusedError
from scaling_cli.cluster.experiments import ClusterExperiment, time_of
from scaling_cli.errors import CommandError

RAY_GROUP = "ray.io/v1"
_RAY_CLUSTER = "ray.io/cluster"
HEAD_CONTAINER = "ray-head"


@dataclass(frozen=True)
class RayJob:
    """The RayJob in use, or the last one."""

    name: str
    job_status: str
    """PENDING, RUNNING, SUCCEEDED, FAILED, STOPPED, or empty."""
    deployment_status: str
    """Such as Initializing, Running or Complete; empty before KubeRay has seen it."""
    ray_cluster: str
    """Name of its RayCluster; empty before there is one."""
    message: str = ""
    is_gone: bool = False
    """Its status names it, and it is no longer there."""


@dataclass(frozen=True)
class Pod:
    """A pod of the Ray cluster."""

    name: str
    role: str
    """head or worker."""
    pool: str
    """Of a worker."""
    phase: str
    """Pending, Running, Succeeded, Failed, Unknown; Terminating while it goes."""
    is_ready: bool
    restarts: int
    node: str
    created: datetime | None
    containers: tuple[str, ...]
    """Names, Ray's own first."""
    trouble: str = ""
    """Why it does not run, such as `ImagePullBackOff: ...`."""

    @property
    def is_head(self) -> bool:
        """Whether the driver runs in it."""
        return self.role == "head"


def read_ray_job(cluster: Cluster, experiment: ClusterExperiment) -> RayJob | None:
    """Return the experiment's RayJob; None where it has none.

    Raises:
        CommandError: it cannot be read, or the cluster knows no RayJobs.
    """
    used = experiment.status.ray_job
    if used is None:
        return None
    try:
        found = cluster.get(cluster.path("rayjobs", used.name, group=RAY_GROUP), what=f"the RayJob {used.name}")
    except RefusedError as error:
        if error.status == 404 and not error.is_kind_missing:
            return RayJob(used.name, "", "", "", is_gone=True)
        if error.is_kind_missing:
            raise CommandError(f"KubeRay is not installed here, so that there is no RayJob {used.name}.") from None
        raise
    status = found.get("status") or {}
    return RayJob(
        name=used.name,
        job_status=str(status.get("jobStatus", "")),
        deployment_status=str(status.get("jobDeploymentStatus", "")),
        ray_cluster=str(status.get("rayClusterName", "")),
        message=str(status.get("message", "")),
    )


def read_pods(cluster: Cluster, experiment: ClusterExperiment) -> tuple[Pod, ...]:
    """Return the experiment's Ray pods: the head first, workers by pool.

    Raises:
        CommandError: they cannot be read.
    """
    selector = f"{EXPERIMENT}={experiment.name},{EXPERIMENT_UID}={experiment.uid},{_RAY_CLUSTER}"
    manifests = cluster.items(cluster.path("pods", group="v1"), what="pods", labelSelector=selector)
    # Of two heads the younger one is the driver's; the other is going.
    pods = sorted(map(pod_of, manifests), key=lambda pod: pod.created.timestamp() if pod.created else 0, reverse=True)
    return tuple(sorted(pods, key=lambda pod: (not pod.is_head, pod.pool)))


def pod_of(manifest: Manifest) -> Pod:
    """Return what matters of a pod."""
    metadata, spec, status = manifest["metadata"], manifest.get("spec") or {}, manifest.get("status") or {}
    labels = metadata.get("labels") or {}
    states = status.get("containerStatuses") or ()
    role = labels.get(NODE_TYPE, "")
    return Pod(
        name=metadata["name"],
        role=role,
        pool="" if role == "head" else labels.get(POOL, ""),
        phase="Terminating" if "deletionTimestamp" in metadata else status.get("phase", "Unknown"),
        is_ready=any(c["type"] == "Ready" and c["status"] == "True" for c in status.get("conditions") or ()),
        restarts=sum(int(state.get("restartCount", 0)) for state in states),
        node=spec.get("nodeName", ""),
        created=time_of(metadata.get("creationTimestamp")),
        containers=tuple(container["name"] for container in spec.get("containers") or ()),
        trouble=next(_troubles(status), ""),
    )


def _troubles(status: Mapping[str, Any]) -> Iterator[str]:
    """Yield why a pod does not run, what stands in the way first."""
    if status.get("reason"):  # Evicted and its like
        yield _because(status)
    for container in (*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ())):
        state = container.get("state") or {}
        waiting = state.get("waiting") or {}
        if waiting.get("reason") not in {None, "ContainerCreating", "PodInitializing"}:
            yield _because(waiting)
        ended = state.get("terminated") or {}
        if ended and ended.get("exitCode"):
            yield _because({"reason": ended.get("reason"), "message": f"exit code {ended['exitCode']}"})
    for condition in status.get("conditions") or ():
        if condition["type"] == "PodScheduled" and condition["status"] == "False":
            yield _because(condition)


def _because(found: Mapping[str, Any]) -> str:
    parts = (str(found.get(key) or "") for key in ("reason", "message"))
    return " ".join(": ".join(part for part in parts if part).split())
