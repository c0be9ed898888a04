from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from scaling_laws.answers import backtest, backtests, compute_optimal, reach_of
from scaling_laws.fit import IntervalOptions, fit_law
from scaling_laws.law import Finding, FindingCode, LawRefusedError
from scaling_laws.points import Points, flops_column


def grid(truth, *, noise=0.003, clusters=True):
    N, D = (g.ravel() for g in np.meshgrid([1e4, 3e4, 1e5, 3e5], [1e6, 3e6, 1e7, 3e7], indexing="ij"))
    wobble = np.exp(noise * np.random.default_rng(1).standard_normal(16))
    loss = (truth["E"] + truth["A"] * N ** -truth["alpha"] + truth["B"] * D ** -truth["beta"]) * wobble
    return Points(N, D, loss, clusters=np.repeat(np.arange(4), 4) if clusters else None)


@pytest.fixture
def truth(truth):
    """With an optimum inside the sizes below."""
    return truth | {"A": 8.0}


@pytest.fixture
def true_fit(make_law, truth):
    """A fit that always finds the truth."""

    def fit(points):
        law = make_law(truth, spread=0.001)
        return replace(law, points=len(points), residuals=np.full(len(points), 0.003))

    return fit


def test_the_true_law_beats_the_simple_rules_and_covers(truth, true_fit):
    results = backtests(grid(truth), true_fit)
    assert [r.held_out.split(",")[0] for r in results] == ["N above 1.5e+05", "C above 1.35e+13", "C above 5.4e+12"]
    for result in results:
        assert result.law_error < 0.01 < result.last_value_error
        assert result.is_passed
        assert result.covered == 1.0
        assert result.fitted_points + result.held_out_points == 16


def test_whole_sizes_share_no_trajectory_and_the_top_of_compute_does(truth, true_fit):
    size, *compute = backtests(grid(truth), true_fit)
    assert size.shared_trajectories == 0
    assert all(r.shared_trajectories > 0 for r in compute)


def test_the_simple_rules_are_what_they_say(truth, true_fit):
    points = grid(truth, noise=0.0)
    power = replace(points, loss=7.0 * points.N**-0.1 * points.D**-0.05)
    held = points.N.max() == points.N
    result = backtest(power, held, true_fit, label="the largest size")
    assert result.power_law_error == pytest.approx(0.0, abs=1e-12)
    assert result.last_value_error == pytest.approx(3**0.1 - 1, rel=1e-9)
    assert not result.is_passed


def test_a_fit_that_is_refused_is_no_back_test(truth):
    def refuse(points):
        raise LawRefusedError(Finding(FindingCode.TOO_FEW_POINTS, "too few"))

    assert backtests(grid(truth), refuse) == ()
    empty = Points(*(np.zeros(0) for _ in range(3)))
    assert backtests(empty, refuse) == ()


@pytest.mark.parametrize("code", [FindingCode.NOT_CONVERGED, FindingCode.WEAKLY_IDENTIFIED])
def test_a_fit_that_its_points_do_not_identify_is_neither_passed_nor_failed(truth, true_fit, code):
    points = grid(truth)
    _, four, ten = backtests(points, true_fit)

    def fit(part):
        law = true_fit(part)
        return replace(law, findings=(Finding(code, "flat"),)) if len(part) <= ten.fitted_points else law

    results = backtests(points, fit)
    assert four in results
    assert ten not in results
    assert reach_of(points, results).factor == four.compute_factor < ten.compute_factor


def test_a_cut_that_leaves_two_sizes_bridges_nothing(truth):
    points = grid(truth)
    held = points.N > 5e4
    fit = partial(fit_law, intervals=IntervalOptions(draws=0))
    assert backtest(points, held, fit, label="the larger sizes") is None
    (finding,) = reach_of(points, ()).findings(flops_column(points).max() * 2, None, None)
    assert "no back-test was possible" in finding.message


def test_answers_within_what_was_tested_stand_without_a_finding(truth, true_fit, make_law):
    points = grid(truth)
    reach = reach_of(points, backtests(points, true_fit))
    assert reach.factor > 4
    law, largest = make_law(truth), flops_column(points).max()
    assert not compute_optimal(law, largest * 2, reach=reach).findings
    (finding,) = compute_optimal(law, largest * 1000, reach=reach).findings
    assert finding.code == "ExtrapolationUntested"
    assert "lies 1e+03 times beyond the largest C of the points" in finding.message
    assert "power law without E" in finding.message


def test_a_law_that_failed_its_back_tests_may_not_extrapolate_at_all(truth, make_law):
    points = grid(truth)
    wrong = make_law(truth | {"E": 2.5}, spread=0.001)
    reach = reach_of(points, backtests(points, lambda part: wrong))
    assert reach.factor == 1.0
    (finding,) = compute_optimal(wrong, flops_column(points).max() * 1.5, reach=reach).findings
    assert "failed its back-tests" in finding.message


def test_an_optimum_far_outside_the_sizes_is_told_although_its_compute_is_not(truth, make_law, true_fit):
    points = grid(truth)
    small = replace(points, N=points.N / 1e3, features={"C": flops_column(points)})
    reach = reach_of(small, ())
    messages = [f.message for f in compute_optimal(make_law(truth), flops_column(points).max(), reach=reach).findings]
    assert any("beyond the largest N" in message and "no back-test was possible" in message for message in messages)
