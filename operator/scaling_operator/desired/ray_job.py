"""The RayJob: created once under a name of its own, never applied again."""

from typing import Final

from scaling_api.v1alpha1.experiment import ExperimentSpec
from scaling_operator.desired.driver import entrypoint
from scaling_operator.desired.execution import effective_execution
from scaling_operator.desired.gangs import room_for_gangs
from scaling_operator.desired.head import autoscaler_options, head_group
from scaling_operator.desired.labels import ATTEMPT, owned, ray_job_name
from scaling_operator.desired.manifest import Manifest
from scaling_operator.desired.request import ClusterRequest
from scaling_operator.desired.workers import worker_group
from scaling_operator.observed import Identity
from scaling_operator.settings import AccessMode, Settings

QUEUE: Final = "kueue.x-k8s.io/queue-name"
ELASTIC: Final = "kueue.x-k8s.io/elastic-job"
API_VERSION: Final = "ray.io/v1"


def ray_job(
    identity: Identity,
    spec: ExperimentSpec,
    settings: Settings,
    *,
    attempt: int,
    deadline_s: int | None = None,
    claim_mode: AccessMode | None = None,
) -> Manifest:
    """Return the RayJob number `attempt`: a head with the driver, and a worker group for each pool.

    Args:
        identity: the experiment.
        spec: its spec.
        settings: the administrator's.
        attempt: k, from 1.
        deadline_s: seconds after which KubeRay ends it, the last guard of a budget; none where None.
        claim_mode: access mode of the claim that exists, where it is known.
    """
    execution = room_for_gangs(effective_execution(spec.execution, settings), spec)
    request = ClusterRequest(identity, execution, settings, attempt, claim_mode=claim_mode)
    return _manifest(request, deadline_s=deadline_s)


def replay_job(
    identity: Identity,
    spec: ExperimentSpec,
    settings: Settings,
    *,
    attempt: int,
    claim_mode: AccessMode | None = None,
) -> Manifest:
    """Return a RayJob without workers, whose driver serves the rows that an ended one has left in storage."""
    execution = effective_execution(spec.execution, settings)
    request = ClusterRequest(identity, execution, settings, attempt, claim_mode=claim_mode, is_replay=True)
    return _manifest(request, deadline_s=None)


def _manifest(request: ClusterRequest, *, deadline_s: int | None) -> Manifest:
    identity, settings = request.identity, request.settings
    queue = {QUEUE: str(request.execution.queue_name)} if request.is_queued else {}
    name = ray_job_name(identity, request.attempt)
    metadata = owned(identity, name, labels={ATTEMPT: str(request.attempt), **queue})
    if request.is_queued and request.has_autoscaler:
        metadata["annotations"] = {ELASTIC: "true"}
    deadline = {} if deadline_s is None else {"activeDeadlineSeconds": deadline_s}
    spec = {
        "submissionMode": "HTTPMode",
        "entrypoint": entrypoint(request),
        "backoffLimit": 0,  # a retry would make a new cluster under the same name; the next attempt is ours to decide
        "shutdownAfterJobFinishes": True,
        "preRunningDeadlineSeconds": settings.deadlines.pre_running_seconds,
        **deadline,
        "suspend": request.is_queued,
        "rayClusterSpec": _cluster(request),
    }
    return {"apiVersion": API_VERSION, "kind": "RayJob", "metadata": metadata, "spec": spec}


def _cluster(request: ClusterRequest) -> Manifest:
    autoscaling = {"autoscalerOptions": autoscaler_options(request)} if request.has_autoscaler else {}
    pools = () if request.is_replay else request.execution.pools
    return {
        "rayVersion": request.settings.trainer.ray_version,
        # KubeRay makes the Secret, of the cluster's name, and hands its token to every Ray container.
        "authOptions": {"mode": "token"},
        "enableInTreeAutoscaling": request.has_autoscaler,
        **autoscaling,
        "headGroupSpec": head_group(request),
        "workerGroupSpecs": [worker_group(request, pool) for pool in pools],
    }
