"""Creating the RayJob and what it needs, or saying what is waited for."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Final

from scaling_laws.design.identity import digest
from scaling_operator import budget, reasons
from scaling_operator.decide.draft import Aim, Draft, Standing
from scaling_operator.decide.standing import standing_of
from scaling_operator.decision import APPLIED_DIGEST
from scaling_operator.desired.claim import shared_claim
from scaling_operator.desired.execution import queue_of
from scaling_operator.desired.labels import secret_name
from scaling_operator.desired.manifest import Manifest
from scaling_operator.desired.network_policy import network_policies
from scaling_operator.desired.ray_job import ray_job, replay_job
from scaling_operator.desired.refusals import accelerators_of
from scaling_operator.desired.secret import driver_secret
from scaling_operator.desired.service_account import service_account

DEADLINE_MARGIN_S: Final = 900
"""The driver stops by itself at the end of budget.wallTime; the RayJob's deadline is for one that does not."""
ROOM_S: Final = 30
LONGEST_PAUSE_S: Final = 300
_OF_THE_DRIVER: Final = {"retries", "max_failed_trials", "parallel_trials"}
"""Fields of execution that the driver is told of: they need no other RayJob."""

Check = Callable[[Draft], Standing | None]


def execution_digest(draft: Draft) -> str:
    """Return the hash of the part of spec.execution that a RayJob is made of."""
    fields = draft.spec.execution.model_dump(mode="json", exclude=_OF_THE_DRIVER)
    for pool in fields["pools"]:
        pool.pop("hourlyPrice", None)
    return digest(execution=fields)


def create(draft: Draft, *, execution: str) -> Draft:
    """Create the RayJob whose number is written, once nothing stands in its way."""
    assert draft.ray_job is not None
    is_replay = draft.aim is Aim.READ
    draft = draft.with_ray_job(execution=execution, is_replay=is_replay)
    waits_for = next((found for check in _WHY_WAIT if (found := check(draft))), None)
    if waits_for is not None:
        return replace(_waiting(draft), standing=waits_for)
    if draft.written_ray_job != draft.ray_job or draft.observed.status.plan is None:
        return replace(draft, standing=standing_of(draft))  # the status is written in this pass, the RayJob comes next
    missing = [manifest for manifest in _supplies(draft) if _differs(draft, manifest)]
    draft = draft.applying(*missing).creating(*_created_once(draft), _job(draft))
    return replace(draft, standing=standing_of(draft))


def supply(draft: Draft) -> Draft:
    """Keep what a running cluster needs as it should be, such as after a change of the administrator's settings.

    A Secret that is gone is made again while its token is known: a head that is lost would not come back without it.
    """
    observed = draft.observed
    if draft.refusal is not None or draft.job is None or draft.job.is_deleting or draft.decision.creates:
        return draft
    if observed.secret is None and observed.known_token is not None:
        draft = draft.creating(driver_secret(observed.identity, observed.known_token))
    return draft.applying(*(manifest for manifest in _supplies(draft) if _differs(draft, manifest)))


def _waiting(draft: Draft) -> Draft:
    used = draft.ray_job
    if used is not None and used.not_before is not None and _is_pausing(used.not_before, draft.now):
        return draft.later((used.not_before - draft.now).total_seconds())
    return draft.later(ROOM_S)


def _is_pausing(until: datetime | None, now: datetime) -> bool:
    """Whether it is too early. A moment beyond any pause was written by a clock that was ahead."""
    return until is not None and 0 < (until - now).total_seconds() <= LONGEST_PAUSE_S


def _job(draft: Draft) -> Manifest:
    observed, used = draft.observed, draft.ray_job
    assert used is not None
    mode = observed.claim.mode if observed.claim else None
    identity, settings = observed.identity, observed.settings
    if used.is_replay:
        return replay_job(identity, draft.spec, settings, attempt=used.attempt, claim_mode=mode)
    limits, started = draft.spec.budget, draft.status.started_at
    left_s = budget.wall_time_left_s(limits, started_at=started, now=draft.now)
    deadline_s = None if left_s is None else max(1, round(left_s)) + DEADLINE_MARGIN_S
    return ray_job(identity, draft.spec, settings, attempt=used.attempt, deadline_s=deadline_s, claim_mode=mode)


def _created_once(draft: Draft) -> list[Manifest]:
    observed = draft.observed
    secret = [] if observed.secret else [driver_secret(observed.identity, observed.fresh_token)]
    claim = [shared_claim(observed.identity.namespace, observed.settings)] if _needs_shared_claim(draft) else []
    return [*secret, *claim]


def _needs_shared_claim(draft: Draft) -> bool:
    storage = draft.execution.storage
    return draft.observed.claim is None and storage is not None and storage.claim_name == _shared(draft)


def _shared(draft: Draft) -> str:
    return draft.observed.settings.storage.claim.name


def _supplies(draft: Draft) -> list[Manifest]:
    observed = draft.observed
    account = service_account(observed.identity, draft.spec.execution, observed.settings)
    policies = network_policies(observed.identity, observed.settings)
    return [_marked(manifest) for manifest in (account, *policies) if manifest is not None]


def _marked(manifest: Manifest) -> Manifest:
    """Return the manifest with its own digest, by which a later pass sees that nothing is to be done."""
    metadata = manifest["metadata"]
    annotations = {**metadata.get("annotations", {}), APPLIED_DIGEST: digest(manifest=manifest)}
    return {**manifest, "metadata": {**metadata, "annotations": annotations}}


def _differs(draft: Draft, manifest: Manifest) -> bool:
    name = f"{manifest['kind']}/{manifest['metadata']['name']}"
    wanted: str = manifest["metadata"]["annotations"][APPLIED_DIGEST]
    return draft.observed.applied.get(name) != wanted


def _pause(draft: Draft) -> Standing | None:
    used = draft.ray_job
    if used is None or not _is_pausing(used.not_before, draft.now):
        return None
    failure = used.last_failure or "The last RayJob failed."
    return Standing(
        False, reasons.BACKING_OFF, f"RayJob {used.name} is created after a pause. {failure}", is_warning=True
    )


def _another(draft: Draft) -> Standing | None:
    assert draft.ray_job is not None
    if draft.own_jobs:
        names = ", ".join(sorted(job.name for job in draft.own_jobs))
        return Standing(False, reasons.REPLACING, f"RayJob {draft.ray_job.name} is created once {names} is gone.")
    name = draft.ray_job.name
    if any(job.name == name for job in draft.observed.ray_jobs):
        message = f"RayJob {name} belongs to another owner and is waited out; delete it, or rename the experiment."
        return Standing(False, reasons.NAME_TAKEN, message, is_warning=True)
    return None


def _kuberay(draft: Draft) -> Standing | None:
    if draft.observed.apis.ray_job:
        return None
    message = "The cluster does not know RayJobs. Install KubeRay; the experiment goes on by itself then."
    return Standing(False, reasons.KUBERAY_MISSING, message, is_warning=True)


def _kueue(draft: Draft) -> Standing | None:
    queue = queue_of(draft.spec.execution, draft.observed.settings)
    if queue is None or draft.observed.apis.kueue:
        return None
    message = f"The queue {queue} needs Kueue, which the cluster does not know. Install it, or leave the queue out."
    return Standing(False, reasons.KUEUE_MISSING, message, is_warning=True)


def _room(draft: Draft) -> Standing | None:
    observed = draft.observed
    cap, others = observed.settings.cap_of(observed.identity.namespace), observed.others
    if draft.aim is Aim.READ:
        return None
    if cap.experiments is not None and others.experiments >= cap.experiments:
        what = f"{cap.experiments} experiments"
    elif (
        cap.accelerators is not None and others.accelerators + accelerators_of(draft.execution.pools) > cap.accelerators
    ):
        what = f"{cap.accelerators} accelerators"
    else:
        return None
    message = (
        f"Namespace {observed.identity.namespace} may use {what} at a time; others use them. It starts after them."
    )
    return Standing(False, reasons.NO_ROOM, message)


def _secret(draft: Draft) -> Standing | None:
    """Wait for a person, or garbage collection, where the Secret's name is taken by what no driver can use."""
    seen, name = draft.observed.secret, secret_name(draft.observed.identity)
    if seen is None or (seen.has_token and not seen.is_foreign):
        return None
    if seen.is_foreign:
        message = f"The Secret {name} belongs to another owner and is waited out; delete it, or rename the experiment."
        return Standing(False, reasons.NAME_TAKEN, message, is_warning=True)
    message = f"The Secret {name} has no token for the driver. Delete it: it is made anew, and the experiment goes on."
    return Standing(False, reasons.SECRET_INVALID, message, is_warning=True)


def _claim(draft: Draft) -> Standing | None:
    """Wait for a claim that is not ours to make. One without a volume yet may be waiting for its first pod."""
    storage, seen = draft.execution.storage, draft.observed.claim
    if storage is None or storage.claim_name is None:
        return None
    about = f"The volume claim {storage.claim_name}"
    if seen is None:
        if storage.claim_name == _shared(draft):
            return None
        message = f"{about} does not exist. Create it; the experiment goes on by itself then."
        return Standing(False, reasons.CLAIM_MISSING, message, is_warning=True)
    if seen.phase == "Lost" or seen.is_deleting:
        how = "has lost its volume" if seen.phase == "Lost" else "is being deleted"
        return Standing(False, reasons.CLAIM_LOST, f"{about} {how}; results cannot be kept on it.", is_warning=True)
    return None


_WHY_WAIT: Final[tuple[Check, ...]] = (_another, _pause, _kuberay, _kueue, _claim, _secret, _room)
