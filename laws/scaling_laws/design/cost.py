"""What a plan will take: seconds of each trial, makespan on lanes, accelerator-hours and money."""

import heapq
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from scaling_api.v1alpha1.execution import Pool
from scaling_api.v1alpha1.trial import TrialKind, TrialSpec
from scaling_laws.design.flops import forward_flops_per_token
from scaling_laws.design.plan import Plan


@dataclass(frozen=True)
class Throughput:
    """Speed of one lane. The defaults are a core of 2024: a step of a small model is mostly its overhead."""

    flops_per_second: float = 1e11
    """Sustained in training."""
    step_seconds: float = 1.8e-3
    """Overhead of a step, whatever the model's size."""
    trial_seconds: float = 0.1
    """Loading, checkpointing and, with a point, the fixed part of evaluation."""


DEFAULT_THROUGHPUT = Throughput()


def trial_seconds(trial: TrialSpec, throughput: Throughput = DEFAULT_THROUGHPUT, *, evaluation_sequences: int) -> float:
    """Return the estimated seconds of a trial on one lane, evaluation included."""
    training = (trial.end_step - trial.start_step) * throughput.step_seconds + trial.flops / throughput.flops_per_second
    if trial.kind is TrialKind.TRUNK:
        return throughput.trial_seconds + training
    tokens = evaluation_sequences * trial.model.context
    evaluation = tokens * forward_flops_per_token(trial.model, trial.parameters) / throughput.flops_per_second
    return throughput.trial_seconds + training + evaluation


def remaining_path_seconds(trials: Sequence[TrialSpec], seconds: Mapping[str, float]) -> dict[str, float]:
    """Return for each trial the longest chain of work that starts with it. `trials` has parents first."""
    remaining = {trial.id: seconds[trial.id] for trial in trials}
    longest_child: dict[str, float] = {}
    for trial in reversed(trials):
        remaining[trial.id] += longest_child.get(trial.id, 0.0)
        for parent in trial.parents:
            longest_child[parent] = max(longest_child.get(parent, 0.0), remaining[trial.id])
    return remaining


def makespan_seconds(trials: Sequence[TrialSpec], seconds: Mapping[str, float], *, lanes: int) -> float:
    """Return the time that `lanes` lanes take, longest remaining path first, parents before children."""
    path = remaining_path_seconds(trials, seconds)
    known = {trial.id for trial in trials}
    waiting = {trial.id: sum(p in known for p in trial.parents) for trial in trials}
    children: dict[str, list[str]] = {}
    for trial in trials:
        for parent in trial.parents:
            children.setdefault(parent, []).append(trial.id)
    ready = [(-path[t], t) for t, count in waiting.items() if count == 0]
    heapq.heapify(ready)
    running: list[tuple[float, str]] = []
    now = 0.0
    while ready or running:
        while ready and len(running) < lanes:
            _, trial_id = heapq.heappop(ready)
            heapq.heappush(running, (now + seconds[trial_id], trial_id))
        now, done = heapq.heappop(running)
        for child in children.get(done, ()):
            waiting[child] -= 1
            if waiting[child] == 0:
                heapq.heappush(ready, (-path[child], child))
    return now


@dataclass(frozen=True)
class Estimate:
    """What a plan will take on given lanes."""

    seconds: float
    """Wall time."""
    lane_seconds: float
    """Sum over lanes of busy time."""
    cost: float | None
    """In the unit of hourlyPrice; None where a pool has no price."""

    @property
    def accelerator_hours(self) -> float:
        """Busy lanes, in hours."""
        return self.lane_seconds / 3600


def estimate(
    plan: Plan, *, lanes: int, evaluation_sequences: int, pools: Sequence[Pool] = (),
    throughput: Throughput = DEFAULT_THROUGHPUT,
) -> Estimate:  # fmt: skip
    """Return the plan's estimated time and cost."""
    seconds = {t.id: trial_seconds(t, throughput, evaluation_sequences=evaluation_sequences) for t in plan.trials}
    busy = sum(seconds[t.id] * t.compute.workers for t in plan.trials)
    return Estimate(
        seconds=makespan_seconds(plan.trials, seconds, lanes=lanes),
        lane_seconds=busy,
        cost=_cost(plan, seconds, pools),
    )


def _cost(plan: Plan, seconds: Mapping[str, float], pools: Sequence[Pool]) -> float | None:
    if not pools:
        return None
    price = {pool.name: pool.hourly_price for pool in pools} | {None: pools[0].hourly_price}
    total = 0.0
    for trial in plan.trials:
        hourly = price[trial.compute.pool]
        if hourly is None:
            return None
        total += hourly * seconds[trial.id] * trial.compute.workers / 3600
    return total
