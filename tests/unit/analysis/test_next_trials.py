"""Which trials to add: they must shrink the interval of L(10 C) more than others of the same cost do."""

import itertools
from dataclasses import replace

import numpy as np
import pytest

from scaling_laws.answers.frontier import compute_optimal
from scaling_laws.answers.next_trials import next_trials
from scaling_laws.answers.trial_choices import Proposal, choices
from scaling_laws.fit import IntervalOptions, Objective, fit_law
from scaling_laws.law import IntervalMethod, Law
from scaling_laws.points import FloatArray, Points

SIZES, TOKENS = np.geomspace(1e7, 1.6e8, 5), np.geomspace(4e8, 6.4e9, 5)
TRUNK, BRANCH = 0.004, 0.003


def exact(N: FloatArray, D: FloatArray) -> FloatArray:
    return np.asarray(1.7 + 400 / N**0.34 + 2000 / D**0.37)


def sweep(rng: np.random.Generator) -> Points:
    """Two seeds of five sizes, each a trunk with five branches."""
    N, D = np.tile(np.repeat(SIZES, 5), 2), np.tile(TOKENS, 10)
    trunks = np.arange(50) // 5
    scatter = TRUNK * rng.standard_normal(10)[trunks] + BRANCH * rng.standard_normal(50)
    return Points(N, D, exact(N, D) * np.exp(scatter), clusters=trunks)


def fitted(points: Points) -> Law:
    options = IntervalOptions(method=IntervalMethod.CV3)
    return fit_law(points, objective=Objective("log-mse"), intervals=options)


def trained(points: Points, proposals: list[Proposal], rng: np.random.Generator) -> Points:
    """Return the points with the proposals trained: branches share their trunk's luck, new trunks have their own."""
    residuals = np.log(points.loss / exact(points.N, points.D))
    N, D, loss, clusters = (list(x) for x in (points.N, points.D, points.loss, points.clusters))
    for proposal in proposals:
        own = [c for n, d, c in zip(N, D, clusters, strict=True) if n == proposal.N]
        is_new = proposal.kind == "Trunk"
        cluster = max(clusters) + 1 if is_new else own[0]
        known = np.asarray(points.clusters) == cluster
        luck = TRUNK * rng.standard_normal() if is_new else residuals[known].mean() if known.any() else 0.0
        here = float(exact(np.array(proposal.N), np.array(proposal.D)))
        for column, value in zip(
            (N, D, loss, clusters),
            (proposal.N, proposal.D, here * np.exp(luck + BRANCH * rng.standard_normal()), cluster),
            strict=True,
        ):
            column.append(value)
    return Points(np.array(N), np.array(D), np.array(loss), clusters=np.array(clusters))


def at_random(points: Points, budget: float, rng: np.random.Generator) -> list[Proposal]:
    """Return trials of the same budget drawn from all that could have been proposed."""
    open_choices, left, out = choices(points), budget, list[Proposal]()
    while len(out) < 64 and len(affordable := np.argwhere(open_choices.flops <= left)):
        trunk, count = affordable[rng.integers(len(affordable))]
        out.append(open_choices.proposal(trunk, count))
        open_choices, left = open_choices.with_trial(trunk, count), left - out[-1].flops
    return out


def width(points: Points, target: float) -> float:
    """Return the width of the interval of the least loss at the target, by linearised least squares with clusters."""
    law = fit_law(points, objective=Objective("log-mse"), intervals=IntervalOptions(draws=200, seed=1))
    answer = compute_optimal(law, target)
    return answer.loss.upper - answer.loss.lower


def simulated(count: int) -> tuple[FloatArray, FloatArray]:
    ours, theirs = [], []
    for seed in range(count):
        rng = np.random.default_rng(seed)
        points = sweep(rng)
        law = fitted(points)
        budget = 0.5 * float(np.sum(6 * SIZES) * TOKENS[-1])
        found = next_trials(law, points, budget)
        others = at_random(points, budget, rng)
        ours.append(width(trained(points, list(found.proposals), rng), found.target_flops))
        theirs.append(width(trained(points, others, rng), found.target_flops))
    return np.array(ours), np.array(theirs)


def test_proposals_are_priced_at_their_marginal_cost_and_shrink_the_width() -> None:
    points = sweep(np.random.default_rng(0))
    found = next_trials(fitted(points), points, 1e20)
    assert found.target_flops == pytest.approx(10 * 6 * SIZES[-1] * TOKENS[-1])
    assert found.flops <= 1e20
    widths = [found.width, *(p.width for p in found.proposals)]
    assert all(b < a for a, b in itertools.pairwise(widths))
    for proposal in found.proposals:
        full = 6 * proposal.N * proposal.D
        if proposal.kind == "Trunk":
            assert proposal.flops == pytest.approx(full)
        elif proposal.kind == "Branch":
            assert proposal.flops == pytest.approx(0.2 * full)
        else:
            assert 0.2 * full < proposal.flops < full


def test_trials_that_are_alike_stand_in_one_row_with_their_number() -> None:
    points = sweep(np.random.default_rng(0))
    found = next_trials(fitted(points), points, 1e20)
    alike = [(row.kind, row.N, row.D) for row in found.additions]
    assert len(set(alike)) == len(alike) < len(found.proposals)
    assert sum(row.trials for row in found.additions) == len(found.proposals)
    assert sum(row.flops for row in found.additions) == pytest.approx(found.flops)
    widths = [found.width, *(row.width for row in found.additions)]
    assert all(b < a for a, b in itertools.pairwise(widths))
    assert widths[-1] == pytest.approx(found.proposals[-1].width)
    assert found.loss == pytest.approx(compute_optimal(fitted(points), found.target_flops).loss.value)


def test_nothing_is_proposed_that_the_budget_cannot_pay() -> None:
    points = sweep(np.random.default_rng(0))
    assert next_trials(fitted(points), points, 1.0).proposals == ()
    alone = replace(points, clusters=None)
    found = next_trials(fit_law(alone, intervals=IntervalOptions(draws=0)), alone, 1e19)
    assert found.flops <= 1e19
    assert found.proposals


def test_a_law_without_an_optimum_has_no_interval_to_shrink() -> None:
    points = sweep(np.random.default_rng(0))
    flat = replace(points, loss=1.7 + 2000 / points.D**0.37)
    with pytest.raises(ValueError, match="no compute-optimal model"):
        next_trials(fit_law(flat, intervals=IntervalOptions(draws=0)), flat, 1e19)


def test_proposals_beat_random_trials_of_the_same_cost() -> None:
    ours, theirs = simulated(8)
    assert np.mean(np.log(ours)) < np.mean(np.log(theirs))


@pytest.mark.slow
def test_proposals_beat_random_trials_over_a_hundred_sweeps() -> None:
    ours, theirs = simulated(100)
    gain = np.log(theirs / ours)
    assert gain.mean() > 3 * gain.std(ddof=1) / 10
    assert np.mean(ours < theirs) > 0.6
