"""Parents before children, the longest remaining path first."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scripted_plan import family, trial, trial_id

from scaling_api.v1alpha1.trial import TrialKind, TrialSpec
from scaling_trainer.executors.schedule import Schedule


def flops(trial: TrialSpec) -> float:
    return trial.flops


def schedule(*trials: TrialSpec, done: tuple[str, ...] = ()) -> Schedule:
    return Schedule(trials, done=[trial_id(name) for name in done], estimate=flops)


def taken(schedule: Schedule) -> str | None:
    chosen = schedule.take()
    return chosen and chosen.id


def test_the_longest_remaining_path_is_first() -> None:
    plan = schedule(
        trial("long alone", flops=5), trial("head", flops=1), trial("tail", "head", flops=6), trial("short", flops=2)
    )
    assert [taken(plan) for _ in range(3)] == [trial_id(name) for name in ("head", "long alone", "short")]
    assert plan.take() is None
    plan.finish(trial_id("head"))
    assert taken(plan) == trial_id("tail")


def test_children_wait_for_all_parents() -> None:
    plan = schedule(trial("a", flops=1), trial("b", flops=1), trial("c", "a", "b", flops=1))
    assert {taken(plan), taken(plan)} == {trial_id("a"), trial_id("b")}
    plan.finish(trial_id("a"))
    assert plan.take() is None
    plan.finish(trial_id("b"))
    assert taken(plan) == trial_id("c")


def test_what_is_done_is_not_taken_and_its_children_are_ready() -> None:
    plan = schedule(trial("a"), trial("b", "a"), done=("a",))
    assert taken(plan) == trial_id("b")
    plan.finish(trial_id("b"))
    assert plan.is_finished


def test_parents_done_elsewhere_need_not_be_in_the_plan() -> None:
    assert taken(schedule(trial("b", "a"), done=("a",))) == trial_id("b")
    with pytest.raises(ValueError, match=f"{trial_id('b')} starts from {trial_id('a')}, which is not in the plan"):
        schedule(trial("b", "a"))


def test_giving_up_takes_all_descendants_along_and_no_others() -> None:
    plan = schedule(trial("a"), trial("b", "a"), trial("c", "b"), trial("d", "c", "other"), trial("other"))
    taken(plan), taken(plan)
    lost = plan.give_up(trial_id("a"))
    assert [lost_trial.id for lost_trial in lost] == [trial_id(name) for name in "bcd"]
    plan.finish(trial_id("other"))
    assert plan.is_finished


def test_a_reopened_parent_holds_its_children_back() -> None:
    plan = schedule(trial("a"), trial("b", "a"), trial("c", "a"), done=("a",))
    child = taken(plan)
    assert child is not None
    plan.put_back(child)
    plan.reopen(trial_id("a"))
    plan.reopen(trial_id("a"))
    assert taken(plan) == trial_id("a")
    plan.reopen(trial_id("a"))
    assert plan.take() is None
    plan.finish(trial_id("a"))
    assert {taken(plan), taken(plan)} == {trial_id("b"), trial_id("c")}


def test_a_reopened_grandparent_can_be_reached_through_a_reopened_parent() -> None:
    plan = schedule(trial("a"), trial("b", "a"), trial("c", "b"), done=("a", "b"))
    assert taken(plan) == trial_id("c")
    plan.put_back(trial_id("c"))
    plan.reopen(trial_id("b"))
    assert taken(plan) == trial_id("b")
    plan.put_back(trial_id("b"))
    plan.reopen(trial_id("a"))
    for name in "abc":
        assert taken(plan) == trial_id(name)
        plan.finish(trial_id(name))
    assert plan.is_finished


def test_measured_times_change_the_order_of_kinds() -> None:
    dense = [trial(f"d{i}", kind=TrialKind.DENSE, flops=2) for i in range(3)]
    pipelines = [trial(f"p{i}", kind=TrialKind.PIPELINE, flops=1) for i in range(3)]
    plan = Schedule([*dense, *pipelines, trial("first p", kind=TrialKind.PIPELINE, flops=9)], done=(), estimate=flops)
    first = plan.take()
    assert first is not None
    plan.finish(first.id, seconds=90.0)
    second = plan.take()
    assert second is not None
    assert second.kind is TrialKind.DENSE
    plan.finish(second.id, seconds=2.0)
    third = plan.take()
    assert third is not None
    assert third.kind is TrialKind.PIPELINE


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 5))
def test_every_trial_runs_once_after_its_parents(seed: int, lanes: int) -> None:
    rng = random.Random(seed)
    trials = family(rng.randint(1, 4))
    plan = Schedule(trials, done=(), estimate=lambda _: rng.random())
    finished: list[str] = []
    running: list[TrialSpec] = []
    while not plan.is_finished:
        while len(running) < lanes and (chosen := plan.take()) is not None:
            assert set(chosen.parents) <= set(finished)
            running.append(chosen)
        done = running.pop(rng.randrange(len(running)))
        if rng.random() < 0.2:
            plan.put_back(done.id)
        else:
            plan.finish(done.id, seconds=rng.random())
            finished.append(done.id)
    assert sorted(finished) == sorted(t.id for t in trials)
