"""Approaches 1 and 2: the frontier through training curves and budgets, what they refuse and what they doubt."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from scaling_cli.__main__ import app
from scaling_laws.fit import IntervalOptions, Objective, fit_law
from scaling_laws.law import Finding, FindingCode, IntervalMethod, LawRefusedError
from scaling_laws.points import FloatArray, Points

NO_INTERVALS = IntervalOptions(draws=0)
SOME = IntervalOptions(draws=100)


def noise(count: int, size: float, seed: int = 3) -> FloatArray:
    return np.exp(size * np.random.default_rng(seed).standard_normal(count))


def dense(N: FloatArray, D: FloatArray) -> FloatArray:
    return np.asarray(1.7 + 400 / N**0.34 + 2000 / D**0.37)


def refusal(points: Points, form: str) -> Finding:
    with pytest.raises(LawRefusedError) as caught:
        fit_law(points, form, intervals=NO_INTERVALS)
    assert caught.value.finding.message.endswith(".")
    return caught.value.finding


OPTIMUM = {"a": 0.37 / 0.71, "b": 0.34 / 0.71}
K_N = (0.34 * 400 / (0.37 * 2000)) ** (1 / 0.71) / 6 ** OPTIMUM["a"]


def isoflops(size: float = 0.0, *, width: float = 10.0) -> Points:
    C = np.repeat(np.geomspace(1e18, 1e21, 6), 9)
    N = K_N * C ** OPTIMUM["a"] * np.tile(np.geomspace(1 / width, width, 9), 6)
    return Points(N, C / 6 / N, dense(N, C / 6 / N) * noise(54, size))


def curves(size: float = 0.0) -> Points:
    N, D = np.meshgrid(np.geomspace(1e7, 3e9, 40), np.geomspace(1e8, 3e11, 40), indexing="ij")
    return Points(N.ravel(), D.ravel(), dense(N, D).ravel() * noise(N.size, size))


def test_isoflop_parabolas_find_the_published_exponents() -> None:
    law = fit_law(isoflops(width=1.3), "ChinchillaIsoFLOP", intervals=NO_INTERVALS)
    assert {"a": law["a"], "b": law["b"]} == pytest.approx(OPTIMUM, abs=2e-4)
    assert law["k_N"] == pytest.approx(K_N, rel=0.01)
    noisy = fit_law(isoflops(0.002), "ChinchillaIsoFLOP", intervals=IntervalOptions(draws=300))
    by_name = {c.name: c for c in noisy.coefficients}
    assert by_name["a"].lower < OPTIMUM["a"] < by_name["a"].upper
    assert by_name["a"].upper - by_name["a"].lower < 0.05


@pytest.mark.parametrize("form", ["ChinchillaEnvelope", "ChinchillaIsoFLOP"])
def test_choices_that_approaches_have_no_use_for_are_refused(form: str) -> None:
    with pytest.raises(ValueError, match="least squares of log N"):
        fit_law(isoflops(), form, objective=Objective("t"), intervals=NO_INTERVALS)
    with pytest.raises(ValueError, match="holds no coefficient at a value, found a"):
        fit_law(isoflops(), form, intervals=NO_INTERVALS, fixed={"a": 0.5})


def test_the_envelope_finds_the_published_exponents() -> None:
    law = fit_law(curves(), "ChinchillaEnvelope", intervals=SOME)
    assert law.interval_method == IntervalMethod.CLUSTER_PAIRS
    assert law["a"] == pytest.approx(OPTIMUM["a"], abs=0.01)
    assert law["a"] + law["b"] == pytest.approx(1.0, abs=0.01)


def test_a_grid_is_no_set_of_budgets_and_one_checkpoint_no_curve() -> None:
    rng = np.random.default_rng(0)
    N, D = np.exp(rng.uniform(16, 20, 12)), np.exp(rng.uniform(20, 30, 12))
    points = Points(N, D, dense(N, D))
    assert refusal(points, "ChinchillaIsoFLOP").code == FindingCode.TOO_FEW_LEVELS
    assert refusal(points, "ChinchillaEnvelope").code == FindingCode.TOO_FEW_LEVELS
    with pytest.raises(ValueError, match="needs a law of the loss"):
        fit_law(curves(), "ChinchillaEnvelope", intervals=IntervalOptions(method=IntervalMethod.WILD_CLUSTER_T))


def test_budgets_whose_optimum_lies_outside_are_left_out_and_said() -> None:
    points = isoflops()
    C = 6 * points.N * points.D
    kept = (C < 5e20) | (0.6 * K_N * C ** OPTIMUM["a"] > points.N)
    law = fit_law(
        Points(points.N[kept], points.D[kept], points.loss[kept]), "ChinchillaIsoFLOP", intervals=NO_INTERVALS
    )
    assert "1 of 6 budgets have no minimum" in " ".join(f.message for f in law.findings)


def test_both_through_the_command(tmp_path: Path) -> None:
    runs, budgets = curves(), isoflops()
    tables = {
        "ChinchillaIsoFLOP": {"params": budgets.N, "flops": 6 * budgets.N * budgets.D, "loss": budgets.loss},
        "ChinchillaEnvelope": {"params": runs.N, "tokens": runs.D, "loss": runs.loss},
    }
    for form, columns in tables.items():
        path = tmp_path / f"{form}.csv"
        np.savetxt(path, np.column_stack(list(columns.values())), delimiter=",", header=",".join(columns), comments="")
        result = CliRunner().invoke(app, ["fit", str(path), "--form", form, "--bootstrap", "20", "--json"])
        assert result.exit_code == 0
        assert json.loads(result.stdout)["coefficients"]["a"]["value"] == pytest.approx(OPTIMUM["a"], abs=0.02)


def test_points_of_no_trajectory_are_taken_for_curves_with_a_finding() -> None:
    alone = fit_law(curves(), "ChinchillaEnvelope", intervals=NO_INTERVALS)
    assert alone.has(FindingCode.TRAJECTORIES_ASSUMED)
    named = replace(curves(), clusters=np.repeat(np.arange(40), 40))
    assert not fit_law(named, "ChinchillaEnvelope", intervals=NO_INTERVALS).has(FindingCode.TRAJECTORIES_ASSUMED)
    each = replace(curves(), clusters=np.arange(1600))
    assert refusal(each, "ChinchillaEnvelope").code == FindingCode.TOO_FEW_LEVELS


def test_an_envelope_of_few_sizes_is_weak_and_its_limits_are_numbers() -> None:
    N, D = (x.ravel() for x in np.meshgrid(np.geomspace(1e7, 1e9, 6), np.geomspace(4e8, 4e10, 6), indexing="ij"))
    law = fit_law(Points(N, D, dense(N, D)), "ChinchillaEnvelope", intervals=SOME)
    assert law.has(FindingCode.WEAKLY_IDENTIFIED)
    assert not fit_law(curves(), "ChinchillaEnvelope", intervals=NO_INTERVALS).has(FindingCode.WEAKLY_IDENTIFIED)
    limits = [x for c in law.coefficients for x in (c.lower, c.upper)]
    assert np.isfinite(limits).all()


def test_budgets_that_are_kept_loosely_have_their_slope_taken_out() -> None:
    rng = np.random.default_rng(0)
    C = np.repeat(np.geomspace(1e18, 1e21, 6), 12)
    N = K_N * C ** OPTIMUM["a"] * np.exp(rng.uniform(-2, 2, 72))
    D = C * np.exp(rng.uniform(-0.2, 0.2, 72)) / 6 / N
    law = fit_law(Points(N, D, dense(N, D)), "ChinchillaIsoFLOP", intervals=NO_INTERVALS)
    assert law["a"] == pytest.approx(OPTIMUM["a"], abs=0.01)


def test_points_beside_the_budgets_are_left_out_and_counted() -> None:
    rng = np.random.default_rng(1)
    plain, C = isoflops(), np.geomspace(2e18, 5e20, 5) * np.exp(rng.uniform(-0.3, 0.3, 5))
    N = np.exp(rng.uniform(17, 20, 5))
    points = Points(np.r_[plain.N, N], np.r_[plain.D, C / 6 / N], np.r_[plain.loss, dense(N, C / 6 / N)])
    law = fit_law(points, "ChinchillaIsoFLOP", intervals=NO_INTERVALS)
    said = " ".join(finding.message for finding in law.findings)
    assert "of 59 points are left out" in said
    assert "left out" not in " ".join(
        finding.message for finding in fit_law(plain, "ChinchillaIsoFLOP", intervals=NO_INTERVALS).findings
    )
    assert law["a"] == pytest.approx(OPTIMUM["a"], abs=0.02)
