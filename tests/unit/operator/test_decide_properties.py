"""What holds for every observation, however odd."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scene import (
    EPOCH,
    NOW,
    UID,
    DriverPhase,
    Scene,
    Spent,
    carried_out,
    head,
    infrastructure,
    is_idle,
    job,
    record,
    row,
    scene,
    seconds,
    silence,
    state,
    worker,
)

from scaling_api.v1alpha1.status import Condition, TrialState
from scaling_operator.observed import Apis, ClaimSeen, DriverAnswer, SecretSeen, Usage
from scaling_operator.reasons import CONDITIONS

BASE = scene()
TRIALS = BASE.trials
CHANGES: list[dict[str, Any]] = [
    {}, {"suspend": True}, {"budget": {"trainingFlops": 5e10}}, {"budget": {"wallTime": "1h"}}, {"sweep": {"seeds": 2}},
    {"execution": {"maxFailedTrials": 0}}, {"execution": {"priorityClassName": "high"}},
    {"training": {"precision": "BF16"}}, {"execution": {"retries": {"infrastructure": 0}}},
    {"ttlSecondsAfterFinished": 30}, {"task": {"language": {"corpus": {"uri": "s3://a/b"}}}},
]  # fmt: skip

records = st.builds(
    lambda trial, state, attempts, broken: record(trial, state, attempts=attempts, failure=broken),
    st.sampled_from(TRIALS),
    st.sampled_from(TrialState),
    st.integers(0, 3),
    st.sampled_from([None, infrastructure()]),
)
jobs = st.builds(
    lambda k, ours, going, suspended, at: job(
        k, is_ours=ours, is_deleting=going, is_suspended=suspended, job_status=at[0], deployment_status=at[1]
    ),
    st.integers(1, 3),
    st.sampled_from([True, True, True, False]),
    st.booleans(),
    st.sampled_from([False, False, True]),
    st.sampled_from([("", ""), ("RUNNING", "Running"), ("SUCCEEDED", "Complete"), ("FAILED", "Failed"),
                     ("", "ValidationFailed"), ("", "Suspended")]),
)  # fmt: skip
phases = st.sampled_from(DriverPhase)


@st.composite
def answers(draw: st.DrawFn) -> DriverAnswer:
    told = draw(st.lists(records, max_size=6))
    read = draw(st.integers(0, 3))
    rows = tuple(row(read + n + 1, one) for n, one in enumerate(told))
    behind = draw(st.integers(0, 2))
    fields = {
        "experiment": draw(st.sampled_from([UID, UID, UID, None, "another"])),
        "epoch": draw(st.sampled_from([EPOCH, "000002-89abcdef"])),
        "spent": draw(st.sampled_from([Spent(), Spent(training_flops=6e10, accelerator_seconds=10.0)])),
        "budget_exhausted": draw(st.sampled_from([None, "No trial fits."])),
        "stopped": draw(st.sampled_from([None, infrastructure()])),
        "corpus_fingerprint": draw(st.sampled_from([None, "ab" * 32])),
        "trouble": draw(st.sampled_from([None, "The volume is full."])),
    }
    phase = draw(phases)
    return DriverAnswer(
        draw(st.integers(1, 3)), state(phase, last_row=read + len(rows) + behind, **fields), read=read, rows=rows
    )


@st.composite
def scenes(draw: st.DrawFn) -> Scene:
    """Return any observation that an experiment of ours may lead to, and some that it may not."""
    at = scene(draw(st.sampled_from(CHANGES)))
    for _ in range(draw(st.integers(0, 4))):
        at = at.passed()
    seen = {found.name: found for found in draw(st.lists(jobs, max_size=2))}
    known = draw(st.lists(records, max_size=6))
    pods = st.sampled_from([(), (head(),), (head(), worker(started_at=NOW - seconds(50))), (head(2),)])
    at = at.with_records(*known).but(
        ray_jobs=tuple(seen.values()),
        pods=draw(pods),
        driver=draw(st.none() | answers() | st.builds(silence, st.sampled_from([1, 100, 1000]))),
        apis=draw(st.sampled_from([Apis(), Apis(ray_job=False)])),
        claim=draw(
            st.sampled_from([None, ClaimSeen("scaling-results", "Bound"), ClaimSeen("scaling-results", "Lost")])
        ),
        others=draw(st.sampled_from([Usage(), Usage(experiments=5)])),
        secret=draw(st.sampled_from([None, SecretSeen(), SecretSeen(False)])),
    )
    if draw(st.booleans()):
        at = at.with_spec(draw(st.sampled_from(CHANGES)))
    return replace(at, now=NOW + timedelta(seconds=draw(st.sampled_from([0, 1, 600, 5000]))))


@given(scenes())
@settings(max_examples=150, deadline=None)
def test_the_same_input_gives_the_same_output(at: Scene) -> None:
    assert at.decide() == at.decide()


@given(scenes())
@settings(max_examples=200, deadline=None)
def test_passes_come_to_rest(at: Scene) -> None:
    rested = at.settled()
    assert is_idle(replace(rested.decide(), message=None))
    assert is_idle(replace(rested.decide(), message=None))


@given(scenes())
@settings(max_examples=200, deadline=None)
def test_a_finished_trial_is_never_written_again(at: Scene) -> None:
    for _ in range(4):
        decision = at.decide()
        finished = {trial for trial, known in at.observed.trials.items() if known.status.state.is_finished}
        assert finished.isdisjoint(written.spec.id for written in decision.trials)
        assert len({written.spec.id for written in decision.trials}) == len(decision.trials)
        at = carried_out(at, decision)


@given(scenes())
@settings(max_examples=200, deadline=None)
def test_never_two_ray_jobs_and_never_a_number_twice(at: Scene) -> None:
    used = {seen.attempt for seen in at.observed.ray_jobs if seen.is_ours}
    if at.status.ray_job is not None and at.status.ray_job.uid is not None:
        used.add(at.status.ray_job.attempt)
    for _ in range(8):
        decision = at.decide()
        made = [m["metadata"]["name"] for m in decision.creates if m["kind"] == "RayJob"]
        if made:
            assert not [seen for seen in at.observed.ray_jobs if seen.is_ours]
            (number,) = (int(name.rpartition("-a")[2]) for name in made)
            assert number not in used
            assert at.status.ray_job is not None
            assert at.status.ray_job.attempt == number, "its number is written before it is created"
            used.add(number)
        at = carried_out(at, decision)


@given(scenes())
@settings(max_examples=200, deadline=None)
def test_only_our_own_ray_jobs_are_deleted(at: Scene) -> None:
    ours = {seen.uid for seen in at.observed.ray_jobs if seen.is_ours}
    for ref in at.decide().deletes:
        assert ref.kind == "ScalingExperiment" or ref.uid in ours


@given(scenes())
@settings(max_examples=200, deadline=None)
def test_what_was_spent_and_the_ray_jobs_number_only_grow(at: Scene) -> None:
    for _ in range(4):
        before, after = at.status, at.passed().status
        assert after.spent.training_flops >= before.spent.training_flops
        assert after.spent.accelerator_seconds >= before.spent.accelerator_seconds
        if before.ray_job is not None:
            assert after.ray_job is not None
            assert after.ray_job.attempt >= before.ray_job.attempt
        at = at.passed().later(5)


@given(scenes())
@settings(max_examples=200, deadline=None)
def test_transition_times_move_on_flips_only_and_conditions_are_the_eight(at: Scene) -> None:
    for _ in range(4):
        later = at.passed().later(7)
        old: dict[str, Condition] = {c.type: c for c in at.status.conditions}
        for condition in later.status.conditions:
            assert condition.type in CONDITIONS
            known = old.get(condition.type)
            if known is not None and known.status == condition.status:
                assert condition.last_transition_time == known.last_transition_time
            elif known is not None:
                assert condition.last_transition_time == at.now
        at = later


@given(scenes())
@settings(max_examples=100, deadline=None)
def test_nothing_is_spent_before_the_plan_is_in_the_status(at: Scene) -> None:
    decision = at.decide()
    if at.status.plan is None:
        assert not [m for m in decision.creates if m["kind"] == "RayJob"]
    if decision.message is not None and decision.message.intent == "Run":
        assert at.status.plan is not None


@pytest.mark.parametrize("changes", CHANGES, ids=str)
def test_every_spec_leads_somewhere(changes: dict[str, Any]) -> None:
    assert {c.type for c in scene(changes).settled().status.conditions} >= {"Accepted", "ClusterReady"}
