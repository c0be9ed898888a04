"""The operator, killed between any two writes, beside drivers that are lost at any moment: nothing lost or doubled."""

from random import Random

import pytest
from fake_world import World, run
from scene import NOW, loss_of, scene, seconds

from scaling_api.v1alpha1.status import TrialState


def check_nothing_is_lost_or_doubled(world: World) -> None:
    planned = {trial.id: trial for trial in scene(world.changes).trials}
    recorded = {t for t, r in world.trials.items() if r.status.state is TrialState.SUCCEEDED}
    assert planned.keys() <= recorded, "lost"
    assert set(world.finished_writes.values()) <= {0, 1}, "doubled"
    losses = {t: world.trials[t].status.metrics.loss for t in planned if planned[t].kind != "Trunk"}
    assert losses == {t: loss_of(t) for t in losses}
    assert set(world.created_names.values()) == {1}, "a number was used again"


@pytest.mark.parametrize("seed", range(60))
def test_nothing_is_lost_or_doubled(seed: int) -> None:
    world = World(Random(seed), {"sweep": {"seeds": 3}, "execution": {"retries": {"infrastructure": 1000}}})
    run(world, passes=3000, faults_until=150)
    check_nothing_is_lost_or_doubled(world)
    assert {c.type for c in world.status.conditions if c.status == "True"} >= {"Complete", "TrialsComplete"}
    assert world.status.trials.succeeded == len(world.trials)
    counted = sum(r.spec.flops for r in world.trials.values())
    assert world.status.spent.training_flops == pytest.approx(counted)
    rests_without_a_write(world)


@pytest.mark.parametrize("seed", range(20))
def test_suspended_changed_grown_and_resumed(seed: int) -> None:
    base = {"execution": {"retries": {"infrastructure": 1000}}}
    grown = {**base, "sweep": {"seeds": 2}}
    moved = {**grown, "execution": {"retries": {"infrastructure": 1000}, "priorityClassName": "high"}}
    world = World(Random(seed), base)
    changes = {
        12: {**base, "suspend": True},
        40: base,
        60: grown,
        75: moved,
        90: {**moved, "suspend": True},
        120: moved,
    }
    run(world, passes=3000, faults_until=130, changes=changes)
    check_nothing_is_lost_or_doubled(world)
    rests_without_a_write(world)


@pytest.mark.parametrize("seed", range(20))
def test_a_budget_ends_the_sweep_with_all_rows_recorded(seed: int) -> None:
    spec = {"budget": {"trainingFlops": 1.0e11}, "execution": {"retries": {"infrastructure": 1000}}}
    world = World(Random(seed), spec)
    run(world, passes=3000, faults_until=80)
    assert {c.type for c in world.status.conditions if c.status == "True"} >= {"Complete", "BudgetExhausted"}
    done = {t for t, r in world.journal.items() if r.status.state is TrialState.SUCCEEDED}
    recorded = {t for t, r in world.trials.items() if r.status.state is TrialState.SUCCEEDED}
    assert recorded == done
    assert sum(world.trials[t].spec.flops for t in recorded) <= 1.0e11
    assert world.status.fitted is not None
    rests_without_a_write(world)


def rests_without_a_write(world: World) -> None:
    before = world.writes
    for _ in range(5):
        world.reconcile(may_die=False)
        world.now += seconds(3600)
    world.forget()  # restarted
    for _ in range(3):
        world.reconcile(may_die=False)
    assert world.writes == before
    assert world.now > NOW
