"""One look at an experiment as plain values, for programs."""

from typing import Any

from scaling_cli.cluster.events import ClusterEvent
from scaling_cli.cluster.looking import Look
from scaling_cli.cluster.options import ClusterOptions
from scaling_cli.cluster.ray import Pod
from scaling_cli.cluster.standing import exit_code_of, next_steps, standing_of


def look_document(look: Look, options: ClusterOptions) -> dict[str, Any]:
    """Return what was seen: the status as the operator wrote it, every number as it is there, and what is around it."""
    experiment = look.experiment
    standing = standing_of(experiment)
    job = look.ray_job
    return {
        "name": experiment.name,
        "namespace": experiment.namespace,
        "uid": experiment.uid,
        "generation": experiment.generation,
        "created": experiment.manifest["metadata"].get("creationTimestamp"),
        "state": standing.word,
        "why": standing.why,
        "isOver": standing.is_over,
        "exitCode": int(exit_code_of(experiment)) if standing.is_over else None,
        "status": experiment.manifest.get("status") or {},
        "trials": [record.model_dump(mode="json", exclude_none=True) for record in look.trials.records],
        "rayJob": None if job is None else {"name": job.name, "jobStatus": job.job_status,
                                            "jobDeploymentStatus": job.deployment_status, "isGone": job.is_gone},
        "pods": [_pod(pod) for pod in look.pods],
        "warnings": [_event(event) for event in look.warnings],
        "next": [{"why": why, "command": command}
                 for why, command in next_steps(experiment, options, has_head=look.has_head)],
        "notSeen": list(look.unseen),
    }  # fmt: skip


def _pod(pod: Pod) -> dict[str, Any]:
    return {
        "name": pod.name,
        "role": pod.role,
        "pool": pod.pool or None,
        "phase": pod.phase,
        "ready": pod.is_ready,
        "restarts": pod.restarts,
        "node": pod.node or None,
        "trouble": pod.trouble or None,
    }


def _event(event: ClusterEvent) -> dict[str, Any]:
    return {
        "about": event.about,
        "reason": event.reason,
        "message": event.note,
        "at": event.at.isoformat() if event.at else None,
        "count": event.count,
    }
