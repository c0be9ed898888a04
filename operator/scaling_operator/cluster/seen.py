"""From objects of the API server to what a pass sees of them. Whatever is missing or odd in them is left out."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal

from pydantic import ValidationError

from scaling_api.labels import EXPERIMENT, EXPERIMENT_UID, NODE_TYPE, POOL
from scaling_api.v1alpha1.trial import TrialRecord
from scaling_operator.desired.labels import ATTEMPT
from scaling_operator.desired.manifest import Manifest
from scaling_operator.observed import (
    ClaimSeen,
    ConditionSeen,
    ContainerSeen,
    PodSeen,
    RayClusterSeen,
    RayJobSeen,
    WarningSeen,
    WorkloadSeen,
)
from scaling_operator.settings import AccessMode

ORIGIN_LABEL: Final = "ray.io/originated-from-cr-name"
_RAY_JOB_NAME: Final = re.compile(r"^(?P<experiment>[a-z](?:[-a-z0-9]*[a-z0-9])?)-a(?P<attempt>[0-9]{1,6})$")
LONGEST_MESSAGE: Final = 1000


@dataclass(frozen=True)
class Key:
    """Which experiment, by the name that its objects carry."""

    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


@dataclass(frozen=True)
class RayJobFound:
    """A RayJob, whoever made it."""

    seen: RayJobSeen
    controller_uid: str | None
    """Uid of its controlling owner."""
    experiment_uid: str | None
    """From its label."""
    ray_cluster: str
    """Name of its RayCluster; empty before it has one."""
    accelerators: int
    """Of all its worker groups at their most."""


@dataclass(frozen=True)
class RayClusterFound:
    """A RayCluster of a RayJob."""

    seen: RayClusterSeen
    ray_job: str


@dataclass(frozen=True)
class WorkloadFound:
    """A Workload of a RayJob."""

    seen: WorkloadSeen
    ray_job: str


@dataclass(frozen=True)
class PodFound:
    """A Ray pod of an experiment."""

    seen: PodSeen
    experiment_uid: str


@dataclass(frozen=True)
class TrialFound:
    """A ScalingTrial."""

    experiment_uid: str
    record: TrialRecord | None
    """None where someone has made of it what is no record."""


@dataclass(frozen=True)
class AppliedFound:
    """An object that is applied and has no other meaning to a pass."""

    experiment_uid: str
    kind: str
    digest: str | None


def labelled_key(manifest: Manifest) -> Key | None:
    """Return the experiment that an object's label names."""
    name = _labels(manifest).get(EXPERIMENT)
    return Key(manifest["metadata"]["namespace"], name) if name else None


def ray_job_key(manifest: Manifest) -> Key | None:
    """Return the experiment that a RayJob is named after."""
    return _named_after(manifest, manifest["metadata"]["name"])


def ray_cluster_key(manifest: Manifest) -> Key | None:
    """Return the experiment whose RayJob a RayCluster belongs to."""
    return _named_after(manifest, _labels(manifest).get(ORIGIN_LABEL, ""))


def workload_key(manifest: Manifest) -> Key | None:
    """Return the experiment whose RayJob a Workload stands for."""
    return _named_after(manifest, _owning_ray_job(manifest))


def trial_found(manifest: Manifest) -> TrialFound:
    """Return a ScalingTrial as a record."""
    try:
        record = TrialRecord.model_validate({"spec": manifest.get("spec"), "status": manifest.get("status") or {}})
    except ValidationError:
        record = None
    return TrialFound(_labels(manifest).get(EXPERIMENT_UID, ""), record)


def ray_job_found(manifest: Manifest) -> RayJobFound:
    """Return a RayJob as far as a pass is concerned with it; `is_ours` is still to be said."""
    metadata, spec, status = manifest["metadata"], _map(manifest, "spec"), _map(manifest, "status")
    seen = RayJobSeen(
        name=metadata["name"],
        attempt=attempt_of(metadata["name"]),
        uid=metadata["uid"],
        is_ours=False,
        created_at=_needed_time(metadata, "creationTimestamp"),
        is_deleting="deletionTimestamp" in metadata,
        is_suspended=bool(spec.get("suspend")),
        job_status=_text(status, "jobStatus"),
        deployment_status=_text(status, "jobDeploymentStatus"),
        reason=_text(status, "reason"),
        message=_text(status, "message"),
        started_at=_time(status, "startTime"),
        ended_at=_time(status, "endTime"),
    )
    return RayJobFound(
        seen,
        controller_uid=controller_uid(manifest),
        experiment_uid=_labels(manifest).get(EXPERIMENT_UID),
        ray_cluster=_text(status, "rayClusterName"),
        accelerators=sum(_accelerators(group) for group in _maps(_map(spec, "rayClusterSpec"), "workerGroupSpecs")),
    )


def ray_cluster_found(manifest: Manifest) -> RayClusterFound:
    """Return a RayCluster as far as a pass is concerned with it."""
    conditions = _conditions(_map(manifest, "status"))
    return RayClusterFound(
        RayClusterSeen(manifest["metadata"]["name"], conditions), _labels(manifest).get(ORIGIN_LABEL, "")
    )


def workload_found(manifest: Manifest) -> WorkloadFound:
    """Return a Workload as far as a pass is concerned with it."""
    conditions = _conditions(_map(manifest, "status"))
    return WorkloadFound(WorkloadSeen(manifest["metadata"]["name"], conditions), _owning_ray_job(manifest))


def claim_found(manifest: Manifest) -> ClaimSeen:
    """Return a claim as far as a pass is concerned with it."""
    metadata, phase = manifest["metadata"], _text(_map(manifest, "status"), "phase")
    modes = _map(manifest, "spec").get("accessModes") or ()
    known = [mode for mode in AccessMode if mode.value in modes]
    is_deleting = "deletionTimestamp" in metadata
    return ClaimSeen(metadata["name"], phase or "Pending", is_deleting=is_deleting, mode=known[0] if known else None)


def pod_found(manifest: Manifest) -> PodFound:
    """Return a Ray pod as far as a pass is concerned with it."""
    metadata, status, labels = manifest["metadata"], _map(manifest, "status"), _labels(manifest)
    role: Literal["head", "worker"] = "head" if labels.get(NODE_TYPE) == "head" else "worker"
    conditions = _conditions(status)
    states = [*_maps(status, "initContainerStatuses"), *_maps(status, "containerStatuses")]
    seen = PodSeen(
        name=metadata["name"],
        role=role,
        phase=_text(status, "phase") or "Pending",
        attempt=_number(labels.get(ATTEMPT)),
        pool=labels.get(POOL) if role == "worker" else None,
        is_ready=any(c.type == "Ready" and c.status == "True" for c in conditions),
        is_deleting="deletionTimestamp" in metadata,
        reason=_text(status, "reason"),
        message=_text(status, "message"),
        conditions=conditions,
        containers=tuple(_container(state) for state in states),
        node=_map(manifest, "spec").get("nodeName"),
        created_at=_time(metadata, "creationTimestamp"),
        started_at=_time(status, "startTime"),
        ended_at=_end(status, states),
    )
    return PodFound(seen, labels.get(EXPERIMENT_UID, ""))


def applied_found(manifest: Manifest, *, digest_annotation: str) -> AppliedFound:
    """Return an applied object."""
    digest = _map(manifest["metadata"], "annotations").get(digest_annotation)
    return AppliedFound(_labels(manifest).get(EXPERIMENT_UID, ""), manifest["kind"], digest)


def warning_seen(manifest: Manifest) -> WarningSeen | None:
    """Return a core/v1 Event of type Warning; None for any other."""
    about, metadata = _map(manifest, "involvedObject"), manifest["metadata"]
    times = (_time(manifest, "lastTimestamp"), _time(_map(manifest, "series"), "lastObservedTime"))
    at = next((t for t in (*times, _time(manifest, "eventTime"), _time(metadata, "creationTimestamp")) if t), None)
    if manifest.get("type") != "Warning" or at is None:
        return None
    name = f"{about.get('kind', '')}/{about.get('name', '')}"
    return WarningSeen(name, _text(manifest, "reason"), _text(manifest, "message")[:LONGEST_MESSAGE], at)


def attempt_of(ray_job: str) -> int:
    """Return the number k in a RayJob's name; 0 where there is none."""
    match = _RAY_JOB_NAME.match(ray_job)
    return int(match["attempt"]) if match else 0


def _named_after(manifest: Manifest, ray_job: str) -> Key | None:
    match = _RAY_JOB_NAME.match(ray_job)
    return Key(manifest["metadata"]["namespace"], match["experiment"]) if match else None


def _owning_ray_job(manifest: Manifest) -> str:
    owners = _maps(manifest["metadata"], "ownerReferences")
    return next((_text(owner, "name") for owner in owners if owner.get("kind") == "RayJob"), "")


def controller_uid(manifest: Manifest) -> str | None:
    """Return the uid of an object's controlling owner; None where it has none."""
    owners = (owner for owner in _maps(manifest["metadata"], "ownerReferences") if owner.get("controller"))
    return next((_text(owner, "uid") for owner in owners), None)


def _container(state: Mapping[str, Any]) -> ContainerSeen:
    now, last = _map(state, "state"), _map(state, "lastState")
    waiting = _map(now, "waiting")
    ended = _map(now, "terminated") or _map(last, "terminated")
    return ContainerSeen(
        name=_text(state, "name"),
        is_ready=bool(state.get("ready")),
        waiting=_text(waiting, "reason"),
        waiting_message=_text(waiting, "message"),
        terminated=_text(ended, "reason"),
        terminated_message=_text(ended, "message"),
        exit_code=ended.get("exitCode"),
        restarts=_number(state.get("restartCount")),
    )


def _end(status: Mapping[str, Any], states: Iterable[Mapping[str, Any]]) -> datetime | None:
    if _text(status, "phase") not in {"Succeeded", "Failed"}:
        return None
    ends = [_time(_map(_map(state, "state"), "terminated"), "finishedAt") for state in states]
    transitions = [_time(c, "lastTransitionTime") for c in _maps(status, "conditions")]  # evicted before it ran
    return max((end for end in ends if end), default=None) or max((t for t in transitions if t), default=None)


def _conditions(status: Mapping[str, Any]) -> tuple[ConditionSeen, ...]:
    return tuple(
        ConditionSeen(
            type=_text(condition, "type"),
            status=_text(condition, "status"),
            reason=_text(condition, "reason"),
            message=_text(condition, "message"),
            since=_time(condition, "lastTransitionTime"),
        )
        for condition in _maps(status, "conditions")
    )


def _accelerators(group: Mapping[str, Any]) -> int:
    """Return the extended resources of a worker group at its most nodes."""
    containers = _maps(_map(_map(group, "template"), "spec"), "containers")
    limits = [_map(_map(container, "resources"), "limits") for container in containers]
    per_node = sum(_number(amount) for limit in limits for name, amount in limit.items() if "/" in name)
    return per_node * _number(group.get("maxReplicas")) * max(1, _number(group.get("numOfHosts")))


def _labels(manifest: Manifest) -> Mapping[str, str]:
    return _map(manifest["metadata"], "labels")


def _map(found: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = found.get(name)
    return value if isinstance(value, Mapping) else {}


def _maps(found: Mapping[str, Any], name: str) -> list[Mapping[str, Any]]:
    value = found.get(name)
    return [item for item in value if isinstance(item, Mapping)] if isinstance(value, list) else []


def _text(found: Mapping[str, Any], name: str) -> str:
    value = found.get(name)
    return value[:LONGEST_MESSAGE] if isinstance(value, str) else ""


def _number(value: object) -> int:
    try:
        return int(str(value))
    except ValueError:
        return 0


def _time(found: Mapping[str, Any], name: str) -> datetime | None:
    try:
        return datetime.fromisoformat(found[name])
    except (KeyError, TypeError, ValueError):
        return None


def _needed_time(found: Mapping[str, Any], name: str) -> datetime:
    at = _time(found, name)
    assert at is not None, f"the API server sets {name}"
    return at
