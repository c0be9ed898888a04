"""The compute-optimal model of laws that have no closed form for it."""

from dataclasses import replace

import numpy as np
import pytest

from scaling_laws.answers import SIX_ND, FlopsPerToken, compute_optimal, reach_of
from scaling_laws.fit import IntervalOptions, fit_law
from scaling_laws.law import Finding, FindingCode
from scaling_laws.points import Points

C = 1e20
NO_DRAWS = IntervalOptions(draws=0)


def sweep(loss, *, noise=0.0, **features):
    N, D = (x.ravel() for x in np.meshgrid(np.geomspace(2e7, 2e9, 7), np.geomspace(1e9, 5e10, 6), indexing="ij"))
    wobble = np.exp(noise * np.random.default_rng(5).standard_normal(len(N)))
    columns = {name: np.resize(np.asarray(column), len(N)) for name, column in features.items()}
    return Points(N, D, loss(N, D, **columns) * wobble, features=columns)


def chinchilla(N, D):
    return 1.7 + 400 / N**0.34 + 410 / D**0.28


@pytest.mark.parametrize("flops", [SIX_ND, FlopsPerToken(3000.0, 0.5)])
def test_an_own_form_has_the_optimum_of_the_published_one(flops):
    points = sweep(chinchilla, noise=0.002)
    options = IntervalOptions(draws=200, seed=1)
    own, published = (
        compute_optimal(fit_law(points, form, intervals=options), C, flops=flops)
        for form in ("loss = E + A/N^alpha + B/D^beta", "Chinchilla")
    )
    for name in ("parameters", "tokens", "tokens_per_parameter", "loss"):
        one, other = getattr(own, name), getattr(published, name)
        assert one.value == pytest.approx(other.value, rel=1e-4)
        assert (one.lower, one.upper) == pytest.approx((other.lower, other.upper), rel=0.02)
    assert own.tokens.value * float(flops(np.asarray(own.parameters.value))) == pytest.approx(C, rel=1e-9)


def test_kaplans_law_is_least_where_calculus_says():
    Nc, Dc, size, tokens = 8.8e13, 5.4e13, 0.076, 0.095
    points = sweep(lambda N, D: ((Nc / N) ** (size / tokens) + Dc / D) ** tokens)
    answer = compute_optimal(fit_law(points, "Kaplan", intervals=NO_DRAWS), C)
    r = size / tokens
    assert answer.parameters.value == pytest.approx((r * Nc**r * C / (6 * Dc)) ** (1 / (1 + r)), rel=1e-4)
    assert answer.refused is None


def test_approach_2_answers_with_its_own_power_laws():
    points = sweep(chinchilla)
    budgets = np.repeat([1e18, 1e19, 1e20, 1e21], 7)
    best = 0.1 * budgets**0.5
    N = best * np.tile(np.geomspace(0.3, 3, 7), 4)
    points = Points(N, budgets / (6 * N), chinchilla(N, budgets / (6 * N)), features={"C": budgets})
    law = fit_law(points, "ChinchillaIsoFLOP", intervals=IntervalOptions(draws=50))
    answer = compute_optimal(law, C, reach=reach_of(points, ()))
    assert answer.parameters.value == pytest.approx(law["k_N"] * C ** law["a"])
    assert answer.tokens.value == pytest.approx(law["k_D"] * C ** law["b"])
    assert answer.parameters.lower <= answer.parameters.value <= answer.parameters.upper
    assert answer.loss is None


def test_what_compute_does_not_settle_is_assumed_and_said():
    def loss(N, D, treatment):
        return chinchilla(N, D * np.where(treatment == "noisy", 0.5, 1.0))

    points = sweep(loss, treatment=["clean", "noisy", "clean", "noisy", "noisy"])
    answer = compute_optimal(fit_law(points, "DataQuality", intervals=NO_DRAWS), C)
    dense = compute_optimal(fit_law(sweep(chinchilla), intervals=NO_DRAWS), C)
    assert answer.parameters.value == pytest.approx(dense.parameters.value, rel=1e-3)
    assert [finding.message for finding in answer.findings] == [
        "The best N and D are those for the reference treatment."
    ]


@pytest.mark.parametrize(
    ("form", "reason"),
    [
        ("KaplanN", "depends on N alone"),
        ("SaturatingC", "depends on C alone"),
        ("loss = E + A/N^a + B/D^b + k*width", "also depends on width"),
        ("width = E + A/N^a + B/D^b", "does not predict the loss"),
        ("loss = E + A/N^a - k*log(D)/N^2", "no compute-optimal model"),
        ("Linear", "goes in one direction"),
    ],
)
def test_what_no_law_can_answer_is_refused_with_the_reason(form, reason):
    def loss(N, D, width):
        return chinchilla(N, D) + 1e-3 * width

    points = sweep(loss, noise=0.001, width=[1.0, 2.0, 1.5, 3.0, 2.5])
    answer = compute_optimal(fit_law(points, form, intervals=NO_DRAWS), C)
    assert reason in answer.refused
    assert answer.parameters is None


def test_an_answer_of_a_law_that_is_not_certified_says_so(make_law, truth):
    law = replace(make_law(truth), findings=(Finding(FindingCode.NOT_CONVERGED, "gradient 1e-3"),))
    assert [finding.code for finding in compute_optimal(law, 1e15).findings] == ["NotConverged"]
