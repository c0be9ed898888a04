"""The plan: a sweep resolved into ordered trials. Pure: the same spec gives the same plan on any machine."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from itertools import groupby, islice

from scaling_api.problems import Problem
from scaling_api.v1alpha1.experiment import ExperimentSpec
from scaling_api.v1alpha1.quantities import MAX_COUNT
from scaling_api.v1alpha1.sweep import ComputeLevel, Design, Sweep, Treatment
from scaling_api.v1alpha1.trial import TrialKind, TrialSpec
from scaling_laws.design.combinations import Candidate, candidates
from scaling_laws.design.errors import UnplannableError
from scaling_laws.design.identity import base_identity
from scaling_laws.design.trajectory import Trajectory, trajectory_trials

MAX_TRIALS = 10_000
BUDGET_TOLERANCE = 0.01
PLANNED_TASKS = ("language",)


@dataclass(frozen=True)
class Plan:
    """A sweep, resolved."""

    trials: tuple[TrialSpec, ...]
    """Parents before children."""
    left_out: tuple[str, ...] = ()
    """Sentences: which combinations the limits leave out."""
    by_id: dict[str, TrialSpec] = field(init=False, repr=False, compare=False)
    """The trials by id."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "by_id", {trial.id: trial for trial in self.trials})

    @cached_property
    def points(self) -> tuple[TrialSpec, ...]:
        """Trials with a loss: all but trunk segments."""
        return tuple(t for t in self.trials if t.kind is not TrialKind.TRUNK)

    @cached_property
    def dense(self) -> tuple[TrialSpec, ...]:
        """The points of the dense law."""
        return tuple(t for t in self.trials if t.kind is TrialKind.DENSE)

    @cached_property
    def training_flops(self) -> float:
        """FLOPs that all trials together spend."""
        return sum(t.flops for t in self.trials)


def plan_trials(spec: ExperimentSpec, *, corpus_fingerprint: str) -> Plan:
    """Return the plan of `spec`, every trial resolved, parents first.

    Args:
        spec: the user's question.
        corpus_fingerprint: SHA-256 of the corpus, hex: its content is part of each trial's identity.

    Raises:
        UnplannableError: nothing is left to train, too much is asked, or the task cannot be planned.
    """
    if spec.task.name not in PLANNED_TASKS:
        raise UnplannableError(_unsupported_task(spec.task.name))
    kept, left_out = _within_limits(spec)
    if not kept:
        raise UnplannableError(Problem("spec.sweep", "the sweep is empty: " + "; ".join(left_out)))
    base = base_identity(spec, corpus_fingerprint=corpus_fingerprint)
    every_trial = (t for trajectory in _trajectories(spec, kept, base) for t in trajectory_trials(trajectory, spec))
    trials = tuple(islice(every_trial, MAX_TRIALS + 1))
    if len(trials) > MAX_TRIALS:
        raise UnplannableError(Problem("spec.sweep", f"the sweep has more than {MAX_TRIALS:,} trials; split it"))
    return Plan(trials=trials, left_out=tuple(left_out))


def _unsupported_task(name: str) -> Problem:
    return Problem(f"spec.task.{name}", f"this task cannot be planned yet; it can be {', '.join(PLANNED_TASKS)}")


def _within_limits(spec: ExperimentSpec) -> tuple[list[Candidate], list[str]]:
    """Drop doubles and what the limits leave out, with a sentence for each kind."""
    language = spec.task.language
    assert language is not None
    tokens_per_step = spec.training.batch_size * language.context_length
    unique: dict[tuple[object, int], Candidate] = {}
    left_out: list[str] = []
    for candidate in candidates(spec.sweep, context=language.context_length, tokens_per_step=tokens_per_step):
        reason = _reason_to_leave_out(candidate, spec, tokens_per_step)
        key = (candidate.shape, candidate.steps)
        if reason is not None:
            left_out.append(reason)
        elif key in unique:
            left_out.append(_double(candidate, tokens_per_step))
        else:
            unique[key] = candidate
    return list(unique.values()), left_out


def _double(candidate: Candidate, tokens_per_step: int) -> str:
    tokens = candidate.steps * tokens_per_step
    return f"N = {candidate.counts.matmul:,}, D = {tokens:,} is asked for twice ({candidate.path}) and planned once"


def _reason_to_leave_out(candidate: Candidate, spec: ExperimentSpec, tokens_per_step: int) -> str | None:
    bounds = spec.sweep.limits.tokens_per_parameter
    tokens = candidate.steps * tokens_per_step
    where = f"N = {candidate.counts.matmul:,}, D = {tokens:,} ({candidate.path})"
    ratio = tokens / candidate.counts.matmul
    if ratio < bounds.min:
        return f"{where} has {ratio:.3g} tokens a parameter, below limits.tokensPerParameter.min {bounds.min:g}"
    if bounds.max is not None and ratio > bounds.max:
        return f"{where} has {ratio:.3g} tokens a parameter, above limits.tokensPerParameter.max {bounds.max:g}"
    if tokens > MAX_COUNT:
        return f"{where} has more tokens than a count can hold"
    if abs(candidate.wanted_steps / candidate.steps - 1) > BUDGET_TOLERANCE and spec.sweep.design is Design.ISOFLOP:
        return f"{where} cannot meet its budget within 1 % in whole steps of {tokens_per_step} tokens"
    if candidate.steps <= spec.training.warmup_steps:
        return (
            f"{where} has {candidate.steps} steps of {tokens_per_step} tokens, not more than the "
            f"{spec.training.warmup_steps} of warmup: ask for more tokens or a smaller training.batchSize"
        )
    return None


def _trajectories(spec: ExperimentSpec, kept: Iterable[Candidate], base: str) -> Iterator[Trajectory]:
    """One trajectory a model, treatment, compute level and seed, small models first."""
    ordered = sorted(kept, key=lambda c: (c.counts.matmul, c.shape.layers, c.steps))
    for shape, group in groupby(ordered, key=lambda c: c.shape):
        members = list(group)
        steps = tuple(c.steps for c in members)
        for treatment, compute, hardware, seed in _levels(spec.sweep):
            yield Trajectory(
                base=base, shape=shape, counts=members[0].counts, steps=steps, treatment=treatment, compute=compute,
                hardware=hardware, seed=seed,
            )  # fmt: skip


def _levels(sweep: Sweep) -> Iterator[tuple[Treatment, ComputeLevel, str | None, int]]:
    seeds = range(sweep.first_seed, sweep.first_seed + sweep.seeds)
    for treatment in sweep.data.treatments:
        for compute, hardware in _worlds(sweep.compute):
            for seed in seeds:
                yield treatment, compute, hardware, seed


def _worlds(levels: Iterable[ComputeLevel]) -> Iterator[tuple[ComputeLevel, str | None]]:
    """Name the pool of a level only where another level has the same workers and strategy."""
    seen: set[tuple[int, str]] = set()
    for level in levels:
        world = (level.workers, level.strategy.value if level.workers > 1 else "")
        yield level, (level.pool or "default") if world in seen else None
        seen.add(world)
