"""What happens before anything is spent: the spec is accepted or refused, planned, priced."""

from dataclasses import replace
from typing import Any

import pytest
from scene import (
    NOW,
    Apis,
    answer,
    head,
    identity,
    is_idle,
    job,
    record,
    row,
    running,
    scene,
    seconds,
    silence,
    spec_of,
)

from scaling_api.driver_protocol import DriverPhase, Intent
from scaling_api.problems import Problem
from scaling_api.v1alpha1.status import Spent, TrialState
from scaling_laws.design.corpora import PYTHON_CORPUS_FINGERPRINT
from scaling_laws.design.identity import RECIPE_VERSION
from scaling_operator.observed import ClaimSeen, SecretSeen, Usage
from scaling_operator.planning import PlanAnswer
from scaling_operator.settings import Settings

FINGERPRINT = "ab" * 32
USERS_TEXT = {"task": {"language": {"corpus": {"uri": "s3://texts/mine"}}}}
GPU = {"pools": [{"name": "gpu", "accelerator": {"perNode": 8}, "maxNodes": 2, "hourlyPrice": 2.0}]}


def kinds(manifests: tuple[dict[str, Any], ...]) -> list[str]:
    return [manifest["kind"] for manifest in manifests]


def test_a_spec_that_cannot_be_read_is_refused_with_every_problem_and_nothing_else_is_touched() -> None:
    problems = (Problem("spec.sweep.seeds", "must be at least 1, found 0"), Problem("spec.laws", "expected a list"))
    begun = running()
    refused = begun.but(spec=None, problems=problems, identity=identity(2)).passed()
    condition = refused.condition("Accepted")
    assert (condition.status, condition.reason) == ("False", "Invalid")
    assert condition.message == "spec.sweep.seeds: must be at least 1, found 0. spec.laws: expected a list."
    assert refused.observed.ray_jobs == begun.observed.ray_jobs, "perhaps the spec is of a later version"
    assert is_idle(refused.decide())


@pytest.mark.parametrize(
    ("changes", "settings", "reason", "says"),
    [
        ({"training": {"precision": "BF16"}}, {}, "Unsupported", "spec.training.precision"),
        ({"task": {"vision": {"uri": "x"}, "language": None}}, {}, "Unsupported", "spec.task.vision"),
        ({"execution": {"image": "evil"}}, {"allowed": {"images": ["good/"]}}, "NotAllowed", "spec.execution.image"),
        ({"execution": {"queueName": "gpus"}}, {}, "NotAllowed", "has not enabled Kueue"),
        ({"laws": [{"name": "x", "form": "Chinchila"}]}, {}, "Unplannable", "did you mean Chinchilla?"),
        ({"sweep": {"limits": {"tokensPerParameter": {"min": 1e6}}}}, {}, "Unplannable", "the sweep is empty"),
    ],
)
def test_what_cannot_be_done_is_refused_by_its_path(
    changes: dict[str, Any], settings: dict[str, Any], reason: str, says: str
) -> None:
    refused = scene(changes, settings=Settings.model_validate(settings)).settled()
    assert refused.says("Accepted") == ("False", reason)
    assert says in refused.condition("Accepted").message
    assert refused.says("ClusterReady") == ("False", "NotAccepted")
    assert refused.status.summary.law.startswith(f"{reason}: ")
    assert len(refused.status.summary.law) <= 96
    assert not refused.observed.ray_jobs


def test_a_question_in_a_refusal_gets_no_full_stop() -> None:
    refused = scene({"laws": [{"name": "x", "form": "Chinchila"}]}).settled()
    assert refused.condition("Accepted").message.endswith("did you mean Chinchilla?")


def test_a_corpus_on_the_users_machine_is_refused_before_anything_is_created() -> None:
    refused = scene({"task": {"language": {"corpus": {"uri": "/nonexistent/x"}}}}).settled()
    assert refused.says("Accepted") == ("False", "NotAllowed")
    assert not refused.observed.ray_jobs


def test_a_cluster_of_a_spec_that_is_no_longer_allowed_goes() -> None:
    begun = running()
    refused = begun.with_spec({"training": {"precision": "BF16"}}).but(driver=silence(60)).settled()
    assert refused.says("Accepted") == ("False", "Unsupported")
    assert not refused.observed.ray_jobs
    again = refused.with_spec({}).settled()
    assert [seen.name for seen in again.observed.ray_jobs] == ["bytes-a2"]
    assert again.status.ray_job is not None
    assert again.status.ray_job.failures == 0


@pytest.mark.parametrize(
    "plan",
    [
        pytest.param(None, id="it cannot be trained"),
        pytest.param(PlanAnswer("0" * 64, problems=(Problem("spec.sweep", "no grid point is left"),)), id="no plan"),
    ],
)
@pytest.mark.parametrize("is_known", [True, False], ids=["", "by an operator that was restarted"])
def test_a_running_cluster_of_a_refused_edit_is_paused_and_collected_before_it_goes(
    plan: PlanAnswer | None, is_known: bool
) -> None:
    begun = running()
    begun = begun.but(last_plan=begun.observed.plan if is_known else None)
    if plan is None:
        edited = begun.with_spec({"training": {"precision": "BF16"}})
    else:
        edited = begun.with_spec({"sweep": {"seeds": 2}})
        wanted = edited.decide().wants_plan
        assert wanted is not None
        edited = edited.but(plan=replace(plan, digest=wanted.digest))
    assert edited.passed().says("Accepted")[0] == "False"
    assert not edited.decide().deletes
    pause = edited.decide().message
    assert pause is not None
    assert (pause.intent, len(pause.trials)) == (Intent.PAUSE, 8 if is_known else 0)
    late = row(1, record(begun.trials[0], TrialState.SUCCEEDED))
    quiet = edited.passed().but(driver=answer(DriverPhase.PAUSED, [late], plan_hash=pause.hash))
    assert [r.spec.id for r in quiet.decide().trials] == [begun.trials[0].id]
    stop = quiet.passed().decide().message
    assert stop is not None
    assert stop.intent is Intent.STOP
    over = quiet.passed().but(driver=answer(DriverPhase.STOPPING, plan_hash=stop.hash, read=1))
    assert [event.reason for event in over.decide().events] == ["ClusterStopped"]
    gone = over.settled()
    assert not gone.observed.ray_jobs
    assert is_idle(gone.later(10**5).decide())
    again = gone.with_spec({}).settled()
    assert [seen.name for seen in again.observed.ray_jobs] == ["bytes-a2"]


def test_an_upgrade_that_changes_losses_leaves_an_unfinished_experiment_alone() -> None:
    begun = scene().settled().with_status(recipe_version=RECIPE_VERSION + 1)
    assert begun.passed().says("Accepted") == ("False", "RecipeChanged")


def test_plan_and_cost_are_in_the_status_before_anything_is_created() -> None:
    fresh = scene({"execution": GPU})
    first = fresh.decide()
    assert first.status is not None
    assert first.status.plan is not None
    assert first.status.plan.trials == len(fresh.trials) == 8
    assert first.status.plan.cost == pytest.approx(2.0 * (first.status.plan.accelerator_hours or 0))
    assert (first.status.trials.pending, first.status.summary.trials) == (8, "0/8")
    assert first.status.recipe_version == RECIPE_VERSION
    assert first.status.corpus_fingerprint == PYTHON_CORPUS_FINGERPRINT
    assert not first.creates
    assert [event.reason for event in first.events] == ["Planned"]


def test_the_number_is_written_before_the_ray_job_is_created_with_all_that_it_needs() -> None:
    numbered = scene().passed()
    assert numbered.status.ray_job is not None
    assert (numbered.status.ray_job.attempt, numbered.status.ray_job.uid) == (1, None)
    second = numbered.decide()
    assert kinds(second.applies) == ["ServiceAccount", "NetworkPolicy", "NetworkPolicy"]
    assert kinds(second.creates) == ["Secret", "PersistentVolumeClaim", "RayJob"]
    assert second.creates[-1]["metadata"]["name"] == "bytes-a1"
    assert second.status is None
    third = numbered.passed().decide()
    assert third.status is not None
    assert third.status.ray_job is not None
    assert third.status.ray_job.uid == "uid-of-bytes-a1"
    assert [event.reason for event in third.events] == ["ClusterRequested"]


def test_a_ray_job_is_made_of_the_execution_that_is_written_beside_its_number() -> None:
    changed = scene().passed().with_spec({"execution": {"priorityClassName": "high"}})
    written = changed.decide()
    assert not written.creates
    assert written.status is not None
    assert written.status.ray_job is not None
    assert written.status.ray_job.attempt == 1, "a number that was not used yet"
    assert changed.status.ray_job is not None
    assert written.status.ray_job.execution != changed.status.ray_job.execution
    assert kinds(changed.passed().decide().creates)[-1] == "RayJob"


def test_what_is_there_already_is_not_made_again() -> None:
    claim = ClaimSeen("scaling-results", phase="Bound")
    numbered = scene().passed().but(secret=SecretSeen(), claim=claim)
    assert kinds(numbered.decide().creates) == ["RayJob"]
    made = numbered.passed()
    assert not made.but(ray_jobs=()).with_status(ray_job=numbered.status.ray_job).decide().applies
    renewed = made.but(settings=Settings.model_validate({"network": {"storagePorts": [9000]}}))
    assert kinds(renewed.decide().applies) == ["NetworkPolicy"], "the administrator's change arrives"


def test_suspend_at_creation_plans_and_spends_nothing() -> None:
    dry = scene({"suspend": True}).settled()
    assert dry.says("Suspended") == ("True", "SuspendedBySpec")
    assert dry.says("Complete") == ("False", "Suspended")
    assert dry.status.plan is not None
    assert dry.status.ray_job is None
    assert not dry.observed.ray_jobs
    begun = dry.with_spec({"suspend": False}).settled()
    assert [seen.name for seen in begun.observed.ray_jobs] == ["bytes-a1"]


def test_a_users_corpus_is_counted_at_once_and_its_ids_wait_for_the_driver() -> None:
    begun = scene(USERS_TEXT).settled()
    assert begun.status.plan is not None
    assert begun.status.plan.trials == 8
    assert begun.status.corpus_fingerprint is None
    begun = begun.but(ray_jobs=(job(uid=begun.observed.ray_jobs[0].uid),), pods=(head(),))
    begun = begun.but(driver=answer(DriverPhase.WAITING))
    asked = begun.decide().message
    assert asked is not None
    assert (asked.trials, asked.corpus_fingerprint, asked.intent) == ((), None, "Run")
    told = begun.but(driver=answer(DriverPhase.WAITING, plan_hash=asked.hash, corpus_fingerprint=FINGERPRINT))
    wanted = told.decide()
    assert wanted.wants_plan is not None
    assert wanted.status is not None
    assert wanted.status.corpus_fingerprint == FINGERPRINT
    assert wanted.message is None, "ids come with the plan"
    planned = told.passed()
    sent = planned.decide().message or planned.passed().decide().message
    assert sent is not None
    assert (len(sent.trials), sent.corpus_fingerprint) == (8, FINGERPRINT)
    assert {trial.id for trial in sent.trials}.isdisjoint({trial.id for trial in scene().trials})


def test_what_was_learnt_of_a_corpus_stays_learnt() -> None:
    begun = scene(USERS_TEXT).settled().with_status(corpus_fingerprint=FINGERPRINT)
    later = begun.but(driver=answer(DriverPhase.WAITING, corpus_fingerprint="cd" * 32)).passed()
    assert later.status.corpus_fingerprint == FINGERPRINT


def test_a_restarted_operator_says_nothing_new_until_it_has_planned_again() -> None:
    begun = running().all_finished(but=3).settled()
    decision = begun.but(plan=None, analysis=None).decide()
    assert decision.wants_plan is not None
    assert decision.status is None
    assert not decision.events


def test_a_grown_sweep_is_announced_before_the_driver_hears_of_it() -> None:
    grown = running().with_spec({"sweep": {"seeds": 2}}).passed()
    announced = grown.decide()
    assert announced.message is None
    assert announced.status is not None
    assert announced.status.plan is not None
    assert announced.status.plan.trials == 16
    told = grown.passed().decide().message
    assert told is not None
    assert len(told.trials) == 16


def test_a_pinned_corpus_stays_whatever_a_later_driver_says() -> None:
    begun = running(USERS_TEXT | {"task": {"language": {"corpus": {"uri": "s3://a/b", "fingerprint": FINGERPRINT}}}})
    assert begun.status.corpus_fingerprint == FINGERPRINT
    seen = begun.observed.driver
    lied = begun.but(driver=answer(plan_hash=seen.state.plan_hash, corpus_fingerprint="cd" * 32))  # type: ignore[union-attr]
    assert is_idle(lied.decide())


WAITS: list[tuple[dict[str, Any], dict[str, Any], dict[str, Any], str]] = [
    ({"apis": Apis(ray_job=False)}, {}, {}, "KubeRayMissing"),
    ({"apis": Apis(kueue=False)}, {"kueue": {"enabled": True, "defaultQueue": "q"}}, {}, "KueueMissing"),
    ({}, {}, {"storage": {"claimName": "mine"}}, "ClaimMissing"),
    ({"claim": ClaimSeen("mine", phase="Lost")}, {}, {"storage": {"claimName": "mine"}}, "ClaimLost"),
    ({"claim": ClaimSeen("mine", "Bound", is_deleting=True)}, {}, {"storage": {"claimName": "mine"}}, "ClaimLost"),
    ({"others": Usage(experiments=2)}, {"caps": {"default": {"experiments": 2}}}, {}, "NoRoom"),
    ({"others": Usage(accelerators=1)}, {"caps": {"default": {"accelerators": 16}}}, GPU, "NoRoom"),
    ({"ray_jobs": (job(is_ours=False, uid="theirs"),)}, {}, {}, "NameTaken"),
    ({"secret": SecretSeen(is_foreign=True)}, {}, {}, "NameTaken"),
    ({"secret": SecretSeen(has_token=False)}, {}, {}, "SecretInvalid"),
]


@pytest.mark.parametrize(("seen", "settings", "execution", "reason"), WAITS, ids=[reason for *_, reason in WAITS])
def test_what_is_missing_is_said_and_waited_for(
    seen: dict[str, Any], settings: dict[str, Any], execution: dict[str, Any], reason: str
) -> None:
    waiting = scene({"execution": execution}, settings=Settings.model_validate(settings), **seen).settled()
    assert waiting.says("ClusterReady") == ("False", reason)
    assert waiting.decide().look_again_after_s is not None
    assert all(not job.is_ours for job in waiting.observed.ray_jobs)
    better: dict[str, Any] = {
        "apis": Apis(kueue=True), "claim": ClaimSeen("mine", "Bound"), "others": Usage(), "ray_jobs": (),
        "secret": None,
    }  # fmt: skip
    begun = waiting.but(**better).settled()
    assert [seen.name for seen in begun.observed.ray_jobs] == ["bytes-a1"], "it goes on by itself"


def test_a_claim_without_a_volume_yet_may_wait_for_its_first_pod() -> None:
    begun = scene({"execution": {"storage": {"claimName": "mine"}}}, claim=ClaimSeen("mine", "Pending")).settled()
    assert begun.observed.ray_jobs
    pending = begun.but(pods=(head(phase="Pending", is_ready=False),))
    assert pending.passed().says("ClusterReady") == ("False", "ClaimPending")


def test_a_ray_job_that_only_a_stale_status_does_not_know_is_ours() -> None:
    found = scene(ray_jobs=(job(3),)).passed()
    assert found.status.ray_job is not None
    assert (found.status.ray_job.attempt, found.status.ray_job.uid) == (3, "uid-3")
    assert not found.decide().creates


def test_a_wall_time_limit_becomes_the_ray_jobs_deadline() -> None:
    numbered = scene({"budget": {"wallTime": "2h"}}).passed()
    spec = numbered.decide().creates[-1]["spec"]
    assert spec["activeDeadlineSeconds"] == 7200 + 900
    resumed = numbered.with_status(started_at=NOW - seconds(3600), spent=Spent())
    assert resumed.decide().creates[-1]["spec"]["activeDeadlineSeconds"] == 3600 + 900


def test_an_experiment_that_is_being_deleted_loses_its_cluster_at_once_and_the_rest_by_owner_references() -> None:
    going = running().but(is_deleting=True)
    decision = going.decide()
    assert [ref.name for ref in decision.deletes] == ["bytes-a1"], "a finalizer may hold the experiment for days"
    assert is_idle(replace(decision, deletes=()))
    assert is_idle(going.passed().decide())
    assert is_idle(going.but(keeps_dependents=True).decide()), "--cascade=orphan"


def test_the_next_request_for_a_plan_follows_the_spec() -> None:
    changed = scene().settled().but(spec=spec_of({"sweep": {"seeds": 2}}), identity=identity(2))
    wanted = changed.decide()
    assert wanted.wants_plan is not None
    assert wanted.wants_plan.spec.sweep.seeds == 2
    assert changed.says("Accepted") == ("True", "Planned"), "what was said stands until the plan is there"
    assert changed.settled().status.summary.trials == "0/16"
