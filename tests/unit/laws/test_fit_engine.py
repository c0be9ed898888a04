"""The log-sum-exp engine: derivatives, small systems, resampling."""

import numpy as np
import pytest

from scaling_laws.fit.linear_algebra import solve_positive
from scaling_laws.fit.model import build_model
from scaling_laws.fit.options import Objective
from scaling_laws.fit.problem import Problem
from scaling_laws.fit.resample import WEBB, pairs_weights, webb_factors, weights_from_indices
from scaling_laws.forms import FORMS, LogSumExpForm, Term
from scaling_laws.points import Points

CHINCHILLA = FORMS["Chinchilla"]
TIED = LogSumExpForm(
    name="Tied",
    formula="L = E + A/N^gamma + B/D^gamma",
    coefficients=("E", "A", "B", "gamma"),
    terms=(Term("E"), Term("A", (("gamma", "N"),)), Term("B", (("gamma", "D"),))),
)
FIXED = LogSumExpForm(
    name="Fixed",
    formula="L = E + 400/N^alpha + B/D^0.3",
    coefficients=("E", "A", "B", "alpha", "beta"),
    terms=CHINCHILLA.terms,
    fixed=(("A", 400.0), ("beta", 0.3)),
)
FORMS_HERE = {"chinchilla": CHINCHILLA, "tied": TIED, "fixed": FIXED}


def grid(noise: float = 0.02) -> Points:
    N, D = (x.ravel() for x in np.meshgrid(np.geomspace(1e6, 1e9, 5), np.geomspace(1e8, 1e11, 5)))
    loss = 1.7 + 400 / N**0.34 + 2000 / D**0.37
    return Points(N, D, loss * np.exp(noise * np.random.default_rng(0).normal(size=25)))


def slope_of(problem: Problem, p: np.ndarray, weights: np.ndarray) -> np.ndarray:
    at = problem.forward(p[None], weights)
    return problem.derivatives(at, weights[None], np.array([True]))[0][0]


def complex_objective(problem: Problem, p: np.ndarray, weights: np.ndarray) -> complex:
    """The objective in complex arithmetic; clipping follows the real part, as the derivative does."""
    u = problem.offset + np.einsum("p,pkn->kn", p, problem.design)
    predicted = np.log(np.exp(u).sum(axis=0))
    r = predicted - problem.observed if problem.rho.is_log else np.exp(predicted) - np.exp(problem.observed)
    bent = np.abs(r.real) > problem.rho.delta
    delta = problem.rho.delta if np.isfinite(problem.rho.delta) else 0.0
    line = delta * (np.sign(r.real) * r - delta / 2)
    return complex(np.sum(weights * np.where(bent, line, r * r / 2)))


@pytest.mark.parametrize("form", FORMS_HERE)
@pytest.mark.parametrize("loss", ["log-huber", "huber", "log-mse", "mse"])
def test_gradient_equals_the_complex_step_and_hessian_the_slope_of_the_gradient(form: str, loss: str) -> None:
    points = grid()
    problem = build_model(FORMS_HERE[form], points, objective=Objective(loss, 0.02)).problem
    rng = np.random.default_rng(1)
    weights = rng.uniform(0.5, 2, len(points))
    p = np.where(np.isfinite(problem.upper), 0.4, -1.0) + 0.1 * rng.normal(size=problem.size)
    steps = 1e-30j * np.eye(problem.size)
    expected = [complex_objective(problem, p + step, weights).imag / 1e-30 for step in steps]
    assert slope_of(problem, p, weights) == pytest.approx(expected, rel=1e-11, abs=1e-13)

    at = problem.forward(p[None], weights)
    hessian = problem.derivatives(at, weights[None], np.array([True]))[1][0]
    h = 1e-6 * np.eye(problem.size)
    numeric = [(slope_of(problem, p + d, weights) - slope_of(problem, p - d, weights)) / 2e-6 for d in h]
    assert hessian == pytest.approx(np.array(numeric), rel=1e-5, abs=1e-6 * np.abs(hessian).max())
    assert hessian == pytest.approx(hessian.T, rel=1e-12, abs=1e-15)


def test_the_gauss_newton_matrix_is_never_indefinite() -> None:
    problem = build_model(CHINCHILLA, grid(), objective=Objective()).problem
    p = np.random.default_rng(2).normal(size=(50, 5))
    weights = np.ones((50, 25))
    _, matrix = problem.derivatives(problem.forward(p, weights), weights, np.zeros(50, dtype=bool))
    assert np.linalg.eigvalsh(matrix).min() > -1e-12


def test_natural_coefficients_predict_what_the_centred_parameters_predict() -> None:
    points = grid()
    model = build_model(FIXED, points, objective=Objective())
    p = np.array([-0.3, -1.2, 0.4])
    E, A, B, alpha, beta = model.natural(p)
    assert (A, beta) == (400.0, 0.3)
    centred = model.problem.forward(p[None], np.ones(25)).predicted[0] + model.log_scale
    assert np.exp(centred) == pytest.approx(E + A / points.N**alpha + B / points.D**beta, rel=1e-12)


def test_solve_positive_agrees_with_numpy_and_says_which_systems_are_not_positive() -> None:
    rng = np.random.default_rng(3)
    roots = rng.normal(size=(40, 5, 7))
    matrices = roots @ roots.transpose(0, 2, 1)
    matrices[7] -= 5 * np.eye(5)
    matrices[9, 2] = matrices[9, :, 2] = 0.0
    right = rng.normal(size=(40, 5))
    before = matrices.copy(), right.copy()
    solution, good = solve_positive(matrices, right)
    assert np.flatnonzero(~good).tolist() == [7, 9]
    assert not solution[~good].any()
    assert solution[good] == pytest.approx(np.linalg.solve(matrices[good], right[good][:, :, None])[:, :, 0], rel=1e-9)
    assert np.array_equal(matrices, before[0])
    assert np.array_equal(right, before[1])


def test_weights_count_how_often_each_point_was_drawn() -> None:
    assert weights_from_indices(np.array([[0, 0, 2], [1, 2, 2]]), 3).tolist() == [[2, 0, 1], [0, 1, 2]]
    weights = pairs_weights(50, 20, seed=4)
    assert (weights.sum(axis=1) == 50).all()
    assert np.array_equal(weights, pairs_weights(50, 20, seed=4))
    assert not np.array_equal(weights, pairs_weights(50, 20, seed=5))


def test_webb_factors_are_shared_by_a_cluster_and_have_mean_zero_and_variance_one() -> None:
    members = np.array([0, 0, 1, 2, 2, 2])
    factors = webb_factors(members, 20_000, seed=0)
    assert (factors[:, 0] == factors[:, 1]).all()
    assert (factors[:, 3] == factors[:, 5]).all()
    assert not (factors[:, 0] == factors[:, 2]).all()
    assert set(np.abs(factors).ravel()) == set(WEBB)
    assert abs(factors[:, 2].mean()) < 0.03
    assert factors[:, 2].var() == pytest.approx(1.0, abs=0.03)
