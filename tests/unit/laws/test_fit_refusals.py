"""Tables that cannot be fitted, and the sentence that each gets."""

import re
from dataclasses import replace

import numpy as np
import pytest

from scaling_laws.fit import IntervalOptions, Objective, fit_law, form_names, predict_draws
from scaling_laws.law import FindingCode, IntervalMethod, LawRefusedError
from scaling_laws.points import Points


def table(n: int = 20) -> Points:
    rng = np.random.default_rng(0)
    N, D = np.exp(rng.uniform(12, 20, n)), np.exp(rng.uniform(17, 24, n))
    return Points(N, D, 1.7 + 400 / N**0.34 + 2000 / D**0.37)


def spoiled(column: str, row: int, value: float) -> Points:
    points = table()
    values = getattr(points, column).copy()
    values[row] = value
    return replace(points, **{column: values})


@pytest.mark.parametrize("column", ["N", "D", "loss"])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 0.0, -1.0, 1e308])
@pytest.mark.parametrize("form", ["Chinchilla", "Linear"])
def test_the_first_bad_value_is_named(form: str, column: str, value: float) -> None:
    with pytest.raises(
        ValueError, match=f"{column} must be a positive finite number .* row 4 has {re.escape(str(value))}"
    ):
        fit_law(spoiled(column, 3, value), form)


def test_text_in_a_column_of_numbers_is_named() -> None:
    points = replace(table(), N=np.array(["70M"] * 20))
    with pytest.raises(ValueError, match="Column N does not hold numbers"):
        fit_law(points)


def test_columns_of_different_lengths_are_named() -> None:
    with pytest.raises(ValueError, match=r"Column D has the shape \(19,\); every column needs 20 values"):
        fit_law(replace(table(), D=table().D[1:]))
    with pytest.raises(ValueError, match="Column bits has the shape"):
        fit_law(replace(table(), features={"bits": np.ones(3)}))


@pytest.mark.parametrize("weight", [np.nan, -1.0])
def test_weights_must_be_finite_and_not_negative(weight: float) -> None:
    with pytest.raises(ValueError, match="row 1 has"):
        fit_law(replace(table(), weights=np.array([weight] + [1.0] * 19)))
    with pytest.raises(ValueError, match="All weights are zero"):
        fit_law(replace(table(), weights=np.zeros(20)))


@pytest.mark.parametrize("n", [1, 5, 7])
def test_seven_points_are_too_few_for_five_coefficients(n: int) -> None:
    with pytest.raises(LawRefusedError, match=f"there are {n} points; it needs at least 8") as e:
        fit_law(table(n))
    assert e.value.finding.code == FindingCode.TOO_FEW_POINTS
    fit_law(table(8), intervals=IntervalOptions(draws=0))


def test_points_of_weight_zero_do_not_count() -> None:
    points = replace(table(9), weights=np.array([0.0, 0.0] + [1.0] * 7))
    with pytest.raises(LawRefusedError, match="there are 7 points"):
        fit_law(points)


def test_no_points_are_too_few() -> None:
    empty = np.zeros(0)
    with pytest.raises(LawRefusedError, match="no points"):
        fit_law(Points(empty, empty, empty))


@pytest.mark.parametrize("axis", ["N", "D"])
def test_one_level_on_an_axis_is_refused(axis: str) -> None:
    with pytest.raises(LawRefusedError, match=f"All 20 points have the same {axis}") as e:
        fit_law(replace(table(), **{axis: np.full(20, 1e9)}))
    assert e.value.finding.code == FindingCode.TOO_FEW_LEVELS


def test_an_unknown_form_is_answered_with_a_near_one_or_all_that_exist() -> None:
    assert {"Chinchilla", "Linear"} <= set(form_names())
    with pytest.raises(ValueError, match=r"no form named 'kaplann'; did you mean KaplanN\?"):
        fit_law(table(), "kaplann")
    with pytest.raises(ValueError, match=r"no form named 'Quux'; the forms are Chinchilla, .*Linear"):
        fit_law(table(), "Quux")


def test_features_are_for_linear_laws() -> None:
    with pytest.raises(ValueError, match="only Linear, Mixing"):
        fit_law(table(), features=("log(N)",))


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: Objective("l1"), "no loss named 'l1'; the losses are log-huber, huber, log-mse, mse"),
        (lambda: Objective(delta=0.0), "delta must be a positive finite number"),
        (lambda: Objective(delta=float("nan")), "delta must be a positive finite number"),
        (lambda: IntervalOptions(draws=-1), "must be 0 or more, not -1"),
        (lambda: IntervalOptions(level=1.0), "between 0 and 1, not 1.0"),
        (lambda: IntervalOptions(seed=-3), "seed must be 0 or more"),
    ],
)
def test_options_are_checked(make: object, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        make()


@pytest.mark.parametrize("method", [IntervalMethod.WILD_CLUSTER_T, IntervalMethod.CV3, IntervalMethod.CLUSTER_PAIRS])
@pytest.mark.parametrize("form", ["Chinchilla", "Linear"])
def test_cluster_methods_need_trajectories(method: IntervalMethod, form: str) -> None:
    with pytest.raises(ValueError, match="need points of at least two trajectories"):
        fit_law(table(), form, intervals=IntervalOptions(method=method))


def test_linear_intervals_are_not_for_other_forms() -> None:
    with pytest.raises(ValueError, match="HC3 intervals are for Linear"):
        fit_law(table(), intervals=IntervalOptions(method=IntervalMethod.HC3))


def test_a_law_without_draws_has_no_predicted_draws() -> None:
    law = fit_law(table(), intervals=IntervalOptions(draws=0))
    assert law.interval_method == IntervalMethod.NONE
    assert law.coefficients[0].standard_error is None
    with pytest.raises(ValueError, match="no bootstrap draws"):
        predict_draws(law, 1e9, 1e10)


@pytest.mark.parametrize(
    ("fixed", "reason"),
    [
        ({"alpha": 20.0}, "cannot hold alpha at 20: its exponents lie between 0 and 10"),
        ({"alpha": -1.0}, "cannot hold alpha at -1"),
        ({"E": 1.0, "A": 1.0, "B": 1.0, "alpha": 0.3, "beta": 0.3}, "All coefficients of Chinchilla are held"),
    ],
)
def test_coefficients_are_held_inside_their_bounds_and_not_all_of_them(fixed: dict[str, float], reason: str) -> None:
    N, D = np.geomspace(1e6, 1e9, 12), np.geomspace(1e9, 1e10, 12)
    with pytest.raises(ValueError, match=reason):
        fit_law(Points(N, D, 1.7 + 400 / N**0.34), fixed=fixed)
