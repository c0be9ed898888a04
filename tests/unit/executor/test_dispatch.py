"""Slots are never promised twice, lanes come and go with the work, and neither kind of trial starves."""

import random
from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st
from scripted_plan import trial

from scaling_api.v1alpha1.trial import TrialSpec
from scaling_trainer.executors.dispatch import Dispatch, Open, Retire, Start
from scaling_trainer.executors.schedule import Schedule
from scaling_trainer.executors.slots import LaneState, Queue, Slots


class Pool:
    """A pool without machines: lanes are ready when they are told, trials end when they are told."""

    def __init__(
        self, trials: list[TrialSpec], *, slots: int, parallel: int | None = None, is_eager: bool = False
    ) -> None:
        self.now = 0.0
        self.size = slots
        self.schedule = Schedule(
            trials, estimate=lambda t: t.flops, queue_of=lambda t: Queue("p", t.compute.workers > 1)
        )
        self.slots = Slots(lambda _: slots, clock=lambda: self.now)
        self.dispatch = Dispatch(self.schedule, self.slots, is_eager=is_eager, idle_s=10.0)
        self.parallel = parallel
        self.starting: set[int] = set()
        self.running: dict[int, TrialSpec] = {}
        self.log: list[TrialSpec] = []

    def settle(self) -> None:
        """Do all that can be done now."""
        for _ in range(1000):
            action = self.dispatch.next_action(parallel=self.parallel, admits=lambda _: True)
            match action:
                case None:
                    return self.check()
                case Open():
                    self.starting.add(self.slots.open(action.queue))
                case Retire():
                    assert action.lane not in self.running
                    self.starting.discard(action.lane)
                    self.slots.forget(action.lane)
                case Start():
                    chosen = self.schedule.take(self.slots.queue(action.lane))
                    assert chosen is not None
                    self.slots.start(action.lane, chosen)
                    self.dispatch.started(self.slots.queue(action.lane))
                    self.running[action.lane] = chosen
                    self.log.append(chosen)
        raise AssertionError("it never comes to rest")

    def check(self) -> None:
        assert self.slots.free("p") >= 0
        assert sum(t.compute.workers for t in self.running.values()) <= self.size
        assert self.parallel is None or len(self.running) <= self.parallel

    def begin_lanes(self) -> None:
        for lane in sorted(self.starting):
            self.slots.ready(lane)
        self.starting.clear()

    def end(self, lane: int) -> None:
        self.schedule.finish(self.running.pop(lane).id)
        self.slots.ready(lane)

    def end_first(self) -> None:
        self.end(next(iter(self.running)))

    def run(self) -> list[TrialSpec]:
        """Run to the end, first come first served."""
        while not self.schedule.is_finished:
            self.settle()
            self.begin_lanes()
            self.settle()
            self.end_first()
        return self.log


def singles(count: int, *, flops: float = 1.0) -> list[TrialSpec]:
    return [trial(f"single {i}", flops=flops) for i in range(count)]


def gangs(count: int, *, workers: int = 2, flops: float = 1.0) -> list[TrialSpec]:
    return [trial(f"gang {i}", workers=workers, flops=flops) for i in range(count)]


@settings(max_examples=80, deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 5), st.booleans(), st.none() | st.integers(1, 4))
def test_any_mix_runs_to_its_end_within_its_slots(seed: int, slots: int, is_eager: bool, parallel: int | None) -> None:
    rng = random.Random(seed)
    trials = [
        trial(str(i), workers=rng.choice([1, 1, 1, *range(1, slots + 1)]), flops=rng.random())
        for i in range(rng.randint(1, 30))
    ]
    pool = Pool(trials, slots=slots, parallel=parallel, is_eager=is_eager)
    while not pool.schedule.is_finished:
        pool.now += rng.random() * 8
        pool.settle()
        if pool.starting and (rng.random() < 0.7 or not pool.running):
            pool.begin_lanes()
        elif pool.running:
            lane = rng.choice(sorted(pool.running))
            if rng.random() < 0.1:  # the lane is lost
                pool.schedule.put_back(pool.running.pop(lane).id)
                pool.slots.forget(lane)
            else:
                pool.end(lane)
    assert Counter(t.id for t in pool.log).keys() == {t.id for t in trials}


def test_gangs_of_short_paths_are_not_passed_over_for_ever() -> None:
    log = Pool([*singles(60, flops=9.0), *gangs(3, flops=1.0)], slots=2).run()
    first = [t.compute.workers for t in log].index(2)
    assert first <= 10


def test_trials_of_one_worker_are_not_passed_over_for_ever() -> None:
    log = Pool([*singles(3, flops=1.0), *gangs(60, flops=9.0)], slots=2).run()
    first = [t.compute.workers for t in log].index(1)
    assert first <= 10


def test_nothing_begins_before_a_gang_that_has_its_turn() -> None:
    pool = Pool([*singles(2, flops=9.0), *singles(4, flops=1.0)[2:], *gangs(1, flops=5.0)], slots=2)
    pool.settle()
    pool.begin_lanes()
    pool.settle()
    assert [t.flops for t in pool.running.values()] == [9.0, 9.0]
    pool.end_first()
    pool.settle()
    assert len(pool.running) == 1
    pool.end_first()
    pool.settle()
    assert [t.compute.workers for t in pool.running.values()] == [2]


def test_a_large_gang_reclaims_idle_lanes() -> None:
    pool = Pool([*singles(2, flops=9.0), *gangs(1, flops=1.0)], slots=2)
    pool.settle()
    pool.begin_lanes()
    pool.settle()
    assert len(pool.running) == 2
    pool.end_first()
    pool.settle()
    assert len(pool.running) == 1, "one slot is free, the gang needs two"
    pool.end_first()
    pool.settle()
    assert [t.compute.workers for t in pool.running.values()] == [2]
    assert pool.slots.number(*LaneState, queue=Queue("p")) == 0


def test_a_gang_that_waits_for_nodes_in_vain_gets_the_slots_of_other_lanes() -> None:
    pool = Pool([*singles(40, flops=1.0), *gangs(1, flops=9.0)], slots=4)  # of which two are never there
    pool.settle()
    pool.begin_lanes()
    pool.settle()
    runner = next(lane for lane, at_work in pool.running.items() if at_work.compute.workers == 2)
    assert len(pool.running) == 3
    for _ in range(5):
        pool.now += 5
        pool.end(max(lane for lane in pool.running if lane != runner))
        pool.settle()
        assert len(pool.running) == 3, "nodes may still come up"
    pool.now += 60
    for lane in [lane for lane in pool.running if lane != runner]:
        pool.end(lane)
        pool.settle()
    assert list(pool.running) == [runner]
    assert pool.slots.number(*LaneState, queue=Queue("p")) == 0
    pool.slots.placed(runner)
    pool.settle()
    assert len(pool.starting) == 2


def test_lanes_are_asked_for_as_work_demands() -> None:
    pool = Pool([trial("a", flops=1), *(trial(f"child {i}", "a", flops=1) for i in range(5))], slots=4)
    pool.settle()
    assert len(pool.starting) == 1
    pool.begin_lanes()
    pool.settle()
    assert len(pool.starting) == 0
    pool.end_first()
    pool.settle()
    assert len(pool.starting) == 3
    assert len(pool.running) == 1


def test_an_idle_lane_is_let_go_after_a_while() -> None:
    pool = Pool(singles(3), slots=3)
    pool.settle()
    pool.begin_lanes()
    pool.settle()
    assert len(pool.running) == 3
    pool.end_first()
    pool.end_first()
    pool.now += 9
    pool.settle()
    assert pool.slots.number(LaneState.IDLE) == 2
    pool.now += 2
    pool.settle()
    assert pool.slots.number(LaneState.IDLE) == 0
    assert len(pool.running) == 1


def test_pools_do_not_share_slots() -> None:
    schedule = Schedule(singles(4), estimate=lambda t: 1.0, queue_of=lambda t: Queue(f"pool {int(t.id, 16) % 2}"))
    slots = Slots(lambda _: 1)
    dispatch = Dispatch(schedule, slots, is_eager=False, idle_s=10.0)
    opened = []
    while isinstance(action := dispatch.next_action(parallel=None, admits=lambda _: True), Open):
        slots.open(action.queue)
        opened.append(action.queue.pool)
    assert opened == sorted(set(opened))
