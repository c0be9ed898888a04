"""Why is the cluster not ready? An ordered chain of checks, the first that fails is the answer."""

from collections.abc import Callable
from typing import Final

from scaling_api.driver_protocol import DriverPhase
from scaling_operator import reasons
from scaling_operator.decide.draft import Aim, Draft, Standing
from scaling_operator.decide.missing import trials_are_missing
from scaling_operator.failures import Verdict, creation_trouble, has_ended, pod_trouble, queue_trouble
from scaling_operator.observed import DriverAnswer, PodSeen

SILENT_S: Final = 60
"""KubeRay acts within seconds, where it runs."""


def standing_of(draft: Draft) -> Standing:
    """Return where the cluster stands."""
    return next(found for check in _CHAIN if (found := check(draft)))


def _refused(draft: Draft) -> Standing | None:
    if draft.refusal is None:
        return None
    message = "No cluster is started for a spec that is not accepted."
    if draft.own_jobs:
        names = ", ".join(sorted(job.name for job in draft.own_jobs))
        message = f"The spec is not accepted: RayJob {names} is being stopped; its rows are collected first."
    return Standing(False, reasons.NOT_ACCEPTED, message)


def _resting(draft: Draft) -> Standing | None:
    if draft.aim is not Aim.REST:
        return None
    if not draft.own_jobs:
        return Standing(False, reasons.NOT_NEEDED, "No cluster is needed.")
    names = ", ".join(sorted(job.name for job in draft.own_jobs))
    return Standing(False, reasons.STOPPING, f"RayJob {names} is being stopped; its rows are collected first.")


def _coming(draft: Draft) -> Standing | None:
    used = draft.ray_job
    if used is None or (draft.job is not None and not draft.job.is_deleting):
        return None
    if draft.own_jobs:
        names = ", ".join(sorted(job.name for job in draft.own_jobs))
        return Standing(False, reasons.REPLACING, f"RayJob {used.name} is created once {names} is gone.")
    return Standing(False, reasons.STARTING, f"RayJob {used.name} is coming up.")


def _missing(draft: Draft) -> Standing | None:
    if not trials_are_missing(draft) or draft.ray_job is None:
        return None
    message = f"The driver of RayJob {draft.ray_job.name} says that it is done, and trials of the plan are missing."
    return Standing(False, reasons.TRIALS_MISSING, message, is_warning=True)


def _answering(draft: Draft) -> Standing | None:
    answer, used = draft.answer, draft.ray_job
    if answer is None or used is None:
        return None
    is_without_workers = answer.state.lanes == 0 and answer.state.phase is DriverPhase.RUNNING
    if is_without_workers and (trouble := _worker_trouble(draft)):
        return _of(trouble)
    if answer.state.trouble is not None:
        message = f"The driver of RayJob {used.name} waits for its storage: {answer.state.trouble}"
        return Standing(False, reasons.STORAGE_TROUBLE, message, is_warning=True)
    return Standing(True, reasons.DRIVER_ANSWERS, f"The driver of RayJob {used.name} answers.")


def _foreign(draft: Draft) -> Standing | None:
    seen, used = draft.observed.driver, draft.ray_job
    if not isinstance(seen, DriverAnswer) or used is None or seen.attempt != used.attempt:
        return None
    message = f"The driver of RayJob {used.name} says that it works for another experiment; it is not believed."
    return Standing(False, reasons.DRIVER_FOREIGN, message, is_warning=True)


def _queued(draft: Draft) -> Standing | None:
    job = draft.job
    if job is None or not job.is_suspended or has_ended(job):
        return None
    return _of(queue_trouble(draft.observed.workload, ray_job=job.name))


def _unreachable(draft: Draft) -> Standing | None:
    used = draft.ray_job
    if draft.silence is None or used is None:
        return None
    if not draft.silence.has_token:
        message = f"The driver of RayJob {used.name} cannot be asked: {draft.silence.why}. The RayJob is replaced soon."
        return Standing(False, reasons.SECRET_MISSING, message, is_warning=True)
    if used.epoch is None:
        return None
    if trouble := _head_trouble(draft):
        return _of(trouble)
    message = f"The driver of RayJob {used.name} does not answer: {draft.silence.why}."
    return Standing(False, reasons.DRIVER_UNREACHABLE, message, is_warning=True)


def _uncreated(draft: Draft) -> Standing | None:
    job = draft.job
    trouble = creation_trouble(job.cluster) if job is not None and job.cluster is not None else None
    return _of(trouble) if trouble else None


def _unready(draft: Draft) -> Standing | None:
    trouble = _head_trouble(draft) or _worker_trouble(draft)
    return _of(trouble) if trouble else None


def _unclaimed(draft: Draft) -> Standing | None:
    claim = draft.observed.claim
    if claim is None or claim.phase == "Bound" or not any(pod.phase == "Pending" for pod in _pods(draft)):
        return None
    message = f"The volume claim {claim.name} has no volume yet. Check its storage class."
    return Standing(False, reasons.CLAIM_PENDING, message, is_warning=True)


def _unattended(draft: Draft) -> Standing | None:
    job = draft.job
    if job is None or job.deployment_status or job.is_suspended:
        return None
    if (draft.now - job.created_at).total_seconds() < SILENT_S:
        return None
    message = f"RayJob {job.name} is not acted upon. Check that the KubeRay operator runs."
    return Standing(False, reasons.KUBERAY_SILENT, message, is_warning=True)


def _starting(draft: Draft) -> Standing:
    name = draft.ray_job.name if draft.ray_job else "of the experiment"
    return Standing(False, reasons.STARTING, f"RayJob {name} is coming up.")


def _pods(draft: Draft) -> list[PodSeen]:
    number = draft.ray_job.attempt if draft.ray_job else None
    return sorted((pod for pod in draft.observed.pods if pod.attempt == number), key=lambda pod: pod.name)


def _head_trouble(draft: Draft) -> Verdict | None:
    return _first_trouble(draft, [pod for pod in _pods(draft) if pod.role == "head"])


def _worker_trouble(draft: Draft) -> Verdict | None:
    return _first_trouble(draft, [pod for pod in _pods(draft) if pod.role == "worker"])


def _first_trouble(draft: Draft, pods: list[PodSeen]) -> Verdict | None:
    troubles = (pod_trouble(pod, draft.observed.warnings) for pod in pods)
    return next((trouble for trouble in troubles if trouble is not None), None)


def _of(verdict: Verdict) -> Standing:
    return Standing(False, verdict.reason, verdict.message, is_warning=verdict.event_type == "Warning")


_CHAIN: Final[tuple[Callable[[Draft], Standing | None], ...]] = (
    _refused, _resting, _coming, _missing, _answering, _foreign, _queued, _unreachable, _uncreated, _unready,
    _unclaimed, _unattended, _starting,
)  # fmt: skip
