"""What a state of a pod, a RayJob or a Kueue workload means: whose fault it is, and what follows.

    Application      the driver's own program failed
    Infrastructure   the cluster took away or could not give what was asked for; never counted against a trial
    Configuration    a person must set something right

The rules are a table (`failure_table`); what no rule knows is infrastructure, and is waited for or tried again.
"""

import re
from collections.abc import Iterable, Iterator
from itertools import chain

from scaling_api.v1alpha1.execution import Storage
from scaling_api.v1alpha1.trial import Failure, FailureClass
from scaling_operator.failure_table import RULES, UNKNOWN, Retry, Rule, Source, Verdict
from scaling_operator.observed import (
    ConditionSeen,
    ContainerSeen,
    PodSeen,
    RayClusterSeen,
    RayJobSeen,
    WarningSeen,
    WorkloadSeen,
)

LONGEST_DETAIL = 600
"""Characters of other people's messages that are quoted."""
_NORMAL_WAITS = frozenset({"", "ContainerCreating", "PodInitializing"})
_STORAGE_FULL = "StorageFull"
"""The driver's reason."""
_EXIT_CODE = re.compile(r"exit code:? (-?[0-9]+)")


def verdict_of(source: Source, reason: str, *, about: str, message: str = "") -> Verdict:
    """Return what a state means by the first rule that matches it.

    Args:
        source: whose state it is.
        reason: its reason, as its owner writes it.
        about: kind and name of the object, such as Pod demo-a1-head.
        message: its message; rules may look into it and quote it.
    """
    matching = (rule for rule in RULES if rule.source is source and _matches(rule, reason, message))
    rule = next(matching, UNKNOWN[source])
    detail = _quoted(message)
    template = rule.sentence if detail else rule.sentence.replace(": {detail}", "")
    sentence = template.format(about=about, reason=reason or "no reason", detail=detail)
    return Verdict(rule.failure_class, rule.name, sentence, rule.retry)


def failure_of(verdict: Verdict) -> Failure:
    """Return the verdict as the API holds it."""
    return Failure(failure_class=verdict.failure_class, reason=verdict.reason, message=verdict.message[:1024])


def with_remedy(failure: Failure, storage: Storage) -> Failure:
    """Return why a driver's trials stopped; of storage that is full, also with its name and what makes it go on."""
    if failure.reason != _STORAGE_FULL:
        return failure
    full = f"the claim {storage.claim_name}" if storage.claim_name is not None else f"{storage.uri}"
    remedy = (
        f"This storage is {full}: enlarge it, or free some room, then suspend and resume the experiment; finished "
        "trials are kept."
    )
    return failure.model_copy(update={"message": f"{failure.message[: 1023 - len(remedy)]} {remedy}"})


def pod_trouble(pod: PodSeen, warnings: Iterable[WarningSeen] = ()) -> Verdict | None:
    """Return what is wrong with a pod; None where nothing is. What ended it comes before what it waits for."""
    about = f"Pod {pod.name}"
    found = chain(
        _disruptions(pod, about),
        _ends(pod, about),
        _containers(pod, about),
        _scheduling(pod, about),
        _warnings(pod, warnings, about),
    )
    return next(found, None)


def creation_trouble(cluster: RayClusterSeen) -> Verdict | None:
    """Return why the RayCluster's pods cannot be created; None where they can."""
    failed = _condition(cluster.conditions, "ReplicaFailure")
    if failed is None or failed.status != "True":
        return None
    return verdict_of(Source.CREATION, failed.reason, about=f"RayCluster {cluster.name}", message=failed.message)


def ray_job_end(job: RayJobSeen) -> Verdict | None:
    """Return what the end of a RayJob means; None where it has not ended, or its driver exited with status 0."""
    if not has_ended(job) or job.job_status == "SUCCEEDED":
        return None
    if job.deployment_status == "ValidationFailed":
        reason = "ValidationFailed"
    else:
        reason = job.reason or job.job_status or job.deployment_status
    code = _EXIT_CODE.search(job.message)
    reason = f"{reason} {code[1]}" if code and reason in {"AppFailed", "FAILED"} else reason
    return verdict_of(Source.RAY_JOB, reason, about=f"RayJob {job.name}", message=job.message)


def has_ended(job: RayJobSeen) -> bool:
    """Whether KubeRay will do nothing more with it."""
    is_job_over = job.job_status in {"SUCCEEDED", "FAILED", "STOPPED"}
    return is_job_over or job.deployment_status in {"Complete", "Failed", "ValidationFailed"}


def queue_trouble(workload: WorkloadSeen | None, *, ray_job: str) -> Verdict:
    """Return why Kueue holds a RayJob back."""
    about = f"RayJob {ray_job}"
    if workload is None:
        return verdict_of(Source.QUEUE, "NoWorkload", about=about)
    evicted, reserved = (_condition(workload.conditions, kind) for kind in ("Evicted", "QuotaReserved"))
    inactive = evicted is not None and evicted.status == "True" and re.match("Deactivated|Inactive", evicted.reason)
    if evicted is not None and (inactive or (evicted.status == "True" and reserved is None)):
        return verdict_of(Source.QUEUE, evicted.reason, about=about, message=evicted.message)
    if reserved is not None and reserved.status != "True":
        kind = f"Evicted{evicted.reason}" if evicted is not None and evicted.status == "True" else reserved.reason
        return verdict_of(Source.QUEUE, kind, about=about, message=reserved.message)
    return verdict_of(Source.QUEUE, "Pending", about=about, message=reserved.message if reserved else "")


def _disruptions(pod: PodSeen, about: str) -> Iterator[Verdict]:
    target = _condition(pod.conditions, "DisruptionTarget")
    if target is not None and target.status == "True":
        yield verdict_of(Source.DISRUPTION, target.reason, about=about, message=target.message)


def _ends(pod: PodSeen, about: str) -> Iterator[Verdict]:
    if pod.phase in {"Failed", "Unknown"} or pod.reason == "NodeLost":
        containers = list(_terminated(pod, about))
        yield from containers if not pod.reason and containers else ()
        reason = pod.reason or f"Phase{pod.phase}"
        yield verdict_of(Source.POD, reason, about=about, message=pod.message)


def _containers(pod: PodSeen, about: str) -> Iterator[Verdict]:
    for container in pod.containers:
        if container.waiting not in _NORMAL_WAITS:
            if container.waiting == "CrashLoopBackOff" and container.terminated:
                yield _end_of(container, about)
            yield verdict_of(
                Source.WAITING, container.waiting, about=_inside(container, about), message=container.waiting_message
            )


def _terminated(pod: PodSeen, about: str) -> Iterator[Verdict]:
    broken = (c for c in pod.containers if c.terminated and c.exit_code != 0)
    yield from (_end_of(container, about) for container in broken)


def _end_of(container: ContainerSeen, about: str) -> Verdict:
    reason = f"Error {container.exit_code}" if container.terminated == "Error" else container.terminated
    return verdict_of(Source.TERMINATED, reason, about=_inside(container, about), message=container.terminated_message)


def _scheduling(pod: PodSeen, about: str) -> Iterator[Verdict]:
    scheduled = _condition(pod.conditions, "PodScheduled")
    if scheduled is not None and scheduled.status == "False":
        yield verdict_of(Source.SCHEDULING, scheduled.reason, about=about, message=scheduled.message)


def _warnings(pod: PodSeen, warnings: Iterable[WarningSeen], about: str) -> Iterator[Verdict]:
    """Look at Events only of a pod that has not come up: they stay for an hour after what they tell of is over."""
    if pod.phase != "Pending":
        return
    known = [rule for rule in RULES if rule.source is Source.WARNING]
    own = (w for w in warnings if w.about in {f"Pod/{pod.name}", pod.name})
    for warning in sorted(own, key=lambda w: w.at, reverse=True):
        if any(_matches(rule, warning.reason, warning.message) for rule in known):
            yield verdict_of(Source.WARNING, warning.reason, about=about, message=warning.message)


def _condition(conditions: Iterable[ConditionSeen], kind: str) -> ConditionSeen | None:
    return next((condition for condition in conditions if condition.type == kind), None)


def _inside(container: ContainerSeen, about: str) -> str:
    return f"Container {container.name} of {about}"


def _matches(rule: Rule, reason: str, message: str) -> bool:
    says_so = not rule.said or re.search(rule.said, message, re.IGNORECASE)
    return bool(re.fullmatch(rule.when, reason) and says_so)


def _quoted(message: str) -> str:
    text = " ".join(message.split()).rstrip(".")
    return text if len(text) <= LONGEST_DETAIL else text[: LONGEST_DETAIL - 3] + "..."


__all__ = [
    "FailureClass",
    "Retry",
    "Source",
    "Verdict",
    "creation_trouble",
    "failure_of",
    "has_ended",
    "pod_trouble",
    "queue_trouble",
    "ray_job_end",
    "verdict_of",
    "with_remedy",
]
