import numpy as np
import pytest

from scaling_api.v1alpha1.status import Answer
from scaling_laws.answers import (
    SIX_ND,
    FlopsPerToken,
    NoSurfaceError,
    UnreachableLossError,
    compute_optimal,
    flops_per_token,
    loss_at,
    needed_parameters,
    needed_tokens,
)
from scaling_laws.points import Points

EPOCH = {"E": 1.817218, "A": 477.826, "B": 2143.417, "alpha": 0.347310, "beta": 0.367172}


def test_the_published_coefficients_give_the_published_optimum(make_law):
    answer = compute_optimal(make_law(EPOCH, draws=0), 5.76e23)
    assert answer.parameters.value == pytest.approx(7.32e10, rel=2e-3)
    assert answer.tokens.value == pytest.approx(1.31e12, rel=3e-3)
    assert answer.tokens_per_parameter.value == pytest.approx(17.9, rel=3e-3)
    assert answer.parameters.lower is None
    assert answer.training_flops == answer.at == 5.76e23


@pytest.mark.parametrize("rule", [SIX_ND, FlopsPerToken(3000.0, 0.5), FlopsPerToken(40.0, 0.9)])
def test_no_other_size_of_the_same_compute_is_better(make_law, truth, rule):
    law, C = make_law(truth, draws=0), 3e15
    answer = compute_optimal(law, C, flops=rule)
    N = answer.parameters.value * np.linspace(0.5, 2.0, 301)
    losses = [loss_at(law, n, C / float(rule(np.asarray(n)))).value for n in N]
    assert answer.loss.value <= min(losses)
    assert answer.tokens.value * float(rule(np.asarray(answer.parameters.value))) == pytest.approx(C, rel=1e-9)


def test_both_rules_agree_where_the_excess_is_nothing(make_law, truth):
    law = make_law(truth, spread=0.03)
    closed, bisected = (compute_optimal(law, 1e16, flops=f) for f in (SIX_ND, FlopsPerToken(1e-9, 0.5)))
    for name in ("parameters", "tokens", "loss", "tokens_per_parameter"):
        one, other = getattr(closed, name), getattr(bisected, name)
        assert (one.value, one.lower, one.upper) == pytest.approx((other.value, other.lower, other.upper), rel=1e-9)


def test_intervals_hold_the_value_and_widen_with_level_and_distance(make_law, truth):
    law = make_law(truth, spread=0.03)
    near, far = compute_optimal(law, 1e15), compute_optimal(law, 1e24)
    for answer in (near, far):
        for part in (answer.parameters, answer.tokens, answer.loss, answer.tokens_per_parameter):
            assert part.lower < part.value < part.upper
    assert far.parameters.upper / far.parameters.lower > near.parameters.upper / near.parameters.lower
    narrow = compute_optimal(law, 1e15, level=0.5)
    assert near.parameters.lower < narrow.parameters.lower < narrow.parameters.upper < near.parameters.upper


@pytest.mark.parametrize("zero", ["A", "B", "alpha", "beta"])
def test_a_vanished_term_leaves_no_optimum_and_says_which(make_law, truth, zero):
    answer = compute_optimal(make_law(truth | {zero: 0.0}, draws=0), 1e15)
    assert answer.parameters is None
    assert zero in answer.refused


def test_draws_without_an_optimum_open_the_interval_and_are_counted(make_law, truth):
    law = make_law(truth, spread=0.02)
    law.draws[:40, 1] = 0.0  # A = 0: the smallest model is best
    answer = compute_optimal(law, 1e15)
    assert answer.parameters.lower == 0.0
    assert answer.tokens.upper is None
    (finding,) = answer.findings
    assert finding.code == "WeaklyIdentified"
    assert "10.0%" in finding.message


def test_extreme_coefficients_and_budgets_stay_finite_or_are_refused(make_law, truth):
    for values in (truth, truth | {"A": 1e80, "alpha": 9.9}, truth | {"beta": 1e-6, "alpha": 1e-6}):
        for C in (1.0, 1e40):
            answer = compute_optimal(make_law(values, spread=0.2), C)
            assert Answer.model_validate(answer.model_dump()) == answer


def test_a_law_without_a_surface_is_refused_with_what_to_ask_instead(make_law):
    law = make_law({"const": 1.0, "log(N)": -0.1}, form="Linear")
    assert "Chinchilla or Joint" in compute_optimal(law, 1e15).refused
    with pytest.raises(NoSurfaceError):
        loss_at(law, 1e6, 1e9)


def test_tokens_and_parameters_needed_invert_the_loss(make_law, truth):
    law = make_law(truth, spread=0.02)
    loss = loss_at(law, 1e6, 1e8)
    assert loss.lower < loss.value < loss.upper
    assert needed_tokens(law, 1e6, loss.value).value == pytest.approx(1e8, rel=1e-9)
    assert needed_parameters(law, 1e8, loss.value).value == pytest.approx(1e6, rel=1e-9)


def test_a_loss_below_the_floor_is_unreachable(make_law, truth):
    law = make_law(truth, spread=0.02)
    with pytest.raises(UnreachableLossError, match="endless tokens this law expects 1"):
        needed_tokens(law, 1e6, 1.3)
    with pytest.raises(UnreachableLossError, match="however large the model"):
        needed_parameters(law, 1e6, 1.2)


def test_a_loss_near_the_floor_leaves_the_upper_limit_open(make_law, truth):
    law = make_law(truth, spread=0.02)
    floor = truth["E"] + truth["A"] * 1e6 ** -truth["alpha"]
    needed = needed_tokens(law, 1e6, floor + 1e-4)
    assert needed.lower is not None
    assert needed.upper is None


@pytest.mark.parametrize("rule", [SIX_ND, FlopsPerToken(3000.0, 0.5), FlopsPerToken(-1.5, 1.0)])
def test_the_rule_of_flops_is_read_from_the_points(rule):
    N, D = (grid.ravel() for grid in np.meshgrid([1e4, 3e4, 1e5, 1e6], [1e6, 1e7]))
    points = Points(N, D, np.ones_like(N), features={"C": rule(N) * D})
    found = flops_per_token(points)
    assert found(np.array([1e4, 1e7])) == pytest.approx(rule(np.array([1e4, 1e7])), rel=1e-9)
    assert flops_per_token(Points(N, D, np.ones_like(N))) == SIX_ND
