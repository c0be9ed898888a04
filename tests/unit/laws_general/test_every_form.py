"""What must hold for every registered form: units, order, weights, exact points far away, exact derivatives.

Tables are those of the coverage benchmark; a form without a table of its own is given sizes, tokens and losses, and a
new form that needs more fails here until it has one.
"""

import os
import subprocess
import sys
from collections.abc import Callable, Container
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from worlds import CHINCHILLA, THREE, WORLDS, World, scattered

from scaling_laws.fit import IntervalOptions, Objective, fit_law, predict
from scaling_laws.fit import descend as power_sums
from scaling_laws.fit.expression import optimum as expressions
from scaling_laws.forms import FORMS, LinearForm
from scaling_laws.law import FindingCode, Law
from scaling_laws.points import FloatArray, Points, select

NO_INTERVALS = IntervalOptions(draws=0)
FRONTIERS = {"ChinchillaEnvelope", "ChinchillaIsoFLOP"}
"""Laws of the best models, not of the points: no point lies on them, and nothing is minimised over points."""
OF_A_PENALTY = {"Compression", "TaskAccuracy"}
"""Their formula speaks of what they derive from the table (a penalty; two steps), not of its columns alone."""
IN_UNITS_OF_LOSS = ("teacher_loss", "supervised_loss", "control_loss")
SHARES = {"TaskAccuracy"}
HEAVY = {"BNSL", "BNSL2", "BNSL3", "DataQuality", "Distillation"}
"""Seconds a fit on a busy machine; their properties are among the slow tests."""
FEW = settings(max_examples=3, derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def each(but: Container[str] = ()) -> list[Any]:
    """Return the registered forms, the heavy ones marked."""
    names = [form for form in FORMS if form not in but]
    return [pytest.param(form, marks=pytest.mark.slow) if form in HEAVY else form for form in names]


def sweep(form: str) -> Points:
    """Return sizes, tokens and losses of forty trunks, or three breaks for the form that has them."""
    if form == "BNSL3":
        return replace(WORLDS["BNSL2"], form=form, truth=THREE).exact()
    N, D = (x.ravel() for x in np.meshgrid(np.geomspace(1e7, 3e9, 8), np.geomspace(3e8, 1e11, 5), indexing="ij"))
    return Points(N, D, CHINCHILLA["E"] + 400 / N**0.34 + 2000 / D**0.37, clusters=np.arange(40))


def table_of(form: str) -> Points:
    """Return a table with noise that tells the form's coefficients apart, at most some 250 rows of it."""
    world = next((w for w in WORLDS.values() if w.form == form), World(form, {}, lambda _: sweep(form), "log-huber"))
    world = replace(world, scatter=min(world.scatter, 1e-3))
    points = scattered(world.exact(), world, np.random.default_rng(5).standard_normal)
    return points if len(points) <= 600 or form in FRONTIERS else select(points, np.arange(0, len(points), 2))


def fit(points: Points, form: str) -> Law:
    return fit_law(points, form, objective=squares_of(form), intervals=NO_INTERVALS)


def squares_of(form: str) -> Objective:
    """Return a smooth objective, whose optimum no rounding moves."""
    is_raw = isinstance(FORMS[form], LinearForm) or getattr(FORMS[form], "default_loss", "") == "mse"
    return Objective("mse" if is_raw else "log-mse")


def are_comparable(one: Law, other: Law) -> bool:
    """Whether two laws must agree: twelve coefficients have many basins, and uncertified ones may end in any."""
    return one.form != "BNSL3" or not (one.has(FindingCode.NOT_CONVERGED) or other.has(FindingCode.NOT_CONVERGED))


def same(one: Law, other: Law, *, factor: float, form: str) -> None:
    """Check that predictions agree, in the order of `one`, and so does the objective, in its own unit."""
    if not are_comparable(one, other):
        return
    expected = one.fitted * factor
    assert other.fitted == pytest.approx(expected, rel=1e-7, abs=1e-9 * np.abs(expected).max())
    size = factor**2 if squares_of(form).loss == "mse" else 1.0
    if form not in FRONTIERS:
        assert other.objective == pytest.approx(one.objective * size, rel=1e-9)
    assert {f.code for f in other.findings} == {f.code for f in one.findings}


@pytest.mark.parametrize("form", each())
@FEW
@given(n=st.floats(-9, 9), d=st.floats(-9, 9), loss=st.floats(-6, 6))
def test_units_change_nothing_but_units(form: str, n: float, d: float, loss: float) -> None:
    points, (n, d, loss) = table_of(form), (10**n, 10**d, 10**loss)
    scales = dict.fromkeys(IN_UNITS_OF_LOSS, loss) | {"U": d, "C": n * d, "throughput": loss}
    features = {name: x * scales[name] if name in scales else x for name, x in points.features.items()}
    other = Points(points.N * n, points.D * d, points.loss * loss, clusters=points.clusters, features=features)
    factor = n if form in FRONTIERS else 1.0 if form in SHARES else loss
    same(fit(points, form), fit(other, form), factor=factor, form=form)


@pytest.mark.parametrize("form", each())
@FEW
@given(seed=st.integers(0, 10**6))
def test_the_order_of_rows_changes_nothing(form: str, seed: int) -> None:
    points = table_of(form)
    order = np.random.default_rng(seed).permutation(len(points))
    law, other = fit(points, form), fit(select(points, order), form)
    if len(law.fitted) == len(points):
        law = replace(law, fitted=law.fitted[order])
    else:  # a law of fewer points than the table has, such as compressed models
        law, other = (replace(x, fitted=np.sort(x.fitted)) for x in (law, other))
    same(law, other, factor=1.0, form=form)


@pytest.mark.parametrize("form", each())
@FEW
@given(seed=st.integers(0, 10**6))
def test_rows_that_stand_there_twice_count_double(form: str, seed: int) -> None:
    points = table_of(form)
    copies = np.random.default_rng(seed).integers(1, 3, len(points))
    weighted = fit(replace(points, weights=copies.astype(np.float64)), form)
    copied = fit(select(points, np.repeat(np.arange(len(points)), copies)), form)
    assert [c.name for c in copied.coefficients] == [c.name for c in weighted.coefficients]
    if form not in FRONTIERS and are_comparable(copied, weighted):
        assert copied.objective == pytest.approx(weighted.objective, rel=1e-9)


@pytest.mark.parametrize("form", each(FRONTIERS | OF_A_PENALTY))
@FEW
@given(further=st.floats(0.5, 3.0))
def test_an_exact_point_far_away_never_worsens_the_optimum(form: str, further: float) -> None:
    points = table_of(form)
    law = fit(points, form)
    more = with_exact_point(points, law, 10**further)
    total, after = len(points), fit(more, form)
    size = 1.0 if isinstance(FORMS[form], LinearForm) else (total + 1) / total  # a sum; all others here are means
    assert after.objective * size <= law.objective * (1 + 1e-9)


def with_exact_point(points: Points, law: Law, factor: float) -> Points:
    """Return the points and one more, far beyond the largest, where the law says."""
    last = int(np.argmax(points.N * points.D))
    rows = np.append(np.arange(len(points)), last)
    more = select(points, rows)
    N, D = more.N.copy(), more.D.copy()
    N[-1], D[-1] = N[-1] * factor, D[-1] * factor
    features = dict(more.features)
    if "workers" in features:
        features["workers"] = np.append(points.features["workers"], 128 * factor)
    numbers = {name: x[-1:] for name, x in features.items() if x.dtype.kind == "f"}
    known = numbers | {f"is_{level}": np.array([float(level == t)]) for level, t in levels(features)}
    expected = float(predict(law, N[-1:], D[-1:], features=known)[0])
    if "throughput" in features:
        features["throughput"] = np.append(points.features["throughput"], expected)
        return replace(more, N=N, D=D, features=features)
    return replace(more, N=N, D=D, loss=np.append(points.loss, expected), features=features)


def levels(features: dict[str, FloatArray]) -> list[tuple[str, str]]:
    """Return each treatment with that of the last row."""
    column = features.get("treatment")
    return [] if column is None else [(str(level), str(column[-1])) for level in np.unique(column)]


@dataclass(frozen=True)
class Minimised:
    """A problem that a fit has solved, as its certificate has seen it."""

    model: object
    p: FloatArray
    weights: FloatArray


def problems_of(form: str, points: Points, monkeypatch: pytest.MonkeyPatch) -> list[Minimised]:
    """Return every problem that a fit minimises on its way."""
    seen: list[Minimised] = []

    def recorded(certify: Callable[..., object]) -> Callable[..., object]:
        def spy(model: object, p: FloatArray, *, weights: FloatArray, **others: object) -> object:
            seen.append(Minimised(model, p, weights))
            return certify(model, p, weights=weights, **others)

        return spy

    monkeypatch.setattr(power_sums, "certify", recorded(power_sums.certify))
    monkeypatch.setattr(expressions, "certificate_at", recorded(expressions.certificate_at))
    fit(points, form)
    return seen


def complex_objective(minimised: Minimised, p: np.ndarray) -> complex:
    """Work the objective out by Python's own arithmetic on the formula, in complex numbers."""
    model, problem = minimised.model, minimised.model.problem
    is_sum = hasattr(problem, "design")
    value = model.natural(p) if is_sum else None
    names = model.form.coefficients if is_sum else model.names
    numbers = value if is_sum else np.where(problem.is_log, np.exp(np.where(problem.is_log, p, 0.0)), p * problem.unit)
    known = dict(zip(names, numbers, strict=True))
    columns = minimised_columns(minimised)
    right = model.form.formula.split("=", 1)[1].replace("^", "**").replace("lambda", "rate")
    functions = {
        "exp": np.exp,
        "log": np.log,
        "log10": np.log10,
        "min": np.minimum,
        "max": np.maximum,
        "logistic": lambda x: 1 / (1 + np.exp(-x)),
    }
    scope = {name.replace("lambda", "rate"): x for name, x in {**functions, **columns, **known}.items()}
    predicted = eval(right, {"__builtins__": {}}, scope) + np.zeros(len(problem.observed))
    if problem.rho.is_log:
        r = np.log(predicted) - problem.observed - (model.log_scale if is_sum else 0.0)
    else:
        unit = np.exp(model.log_scale) if is_sum else problem.scale
        observed = np.exp(problem.observed) if is_sum else problem.observed
        r = predicted / unit - observed
    bent = np.abs(r.real) > problem.rho.delta
    delta = problem.rho.delta if np.isfinite(problem.rho.delta) else 0.0
    cost = np.where(bent, delta * (np.sign(r.real) * r - delta / 2), r * r / 2)
    return complex(np.sum(minimised.weights * cost))


def minimised_columns(minimised: Minimised) -> dict[str, FloatArray]:
    """Return the variables of a problem, in natural units."""
    model, problem = minimised.model, minimised.model.problem
    if not hasattr(problem, "design"):
        return dict(problem.columns)
    rows = {(e, v): k for k, term in enumerate(model.form.terms) for e, v in term.powers}
    return {v: np.exp(model.centres[v] - problem.design[model.names.index(e), k]) for (e, v), k in rows.items()}


@pytest.mark.parametrize("form", [form for form in FORMS if form not in FRONTIERS | {"Linear"}])
def test_derivatives_are_those_of_the_complex_step(form: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of everything that a fit of the form minimises, near the optimum; the Hessian by differences of the gradient."""
    checked = 0
    for minimised in problems_of(form, table_of(form), monkeypatch):
        problem = minimised.model.problem
        inside = np.clip(minimised.p, np.maximum(problem.lower, -30), np.minimum(problem.upper, 30))
        p = inside + 1e-3 * np.cos(np.arange(len(inside)))
        gradient, hessian = derivatives(minimised, p)
        if not (np.isfinite(complex_gradient(minimised, p)).all() and np.isfinite(hessian).all()):
            continue  # a break as sharp as allowed overflows
        checked += 1
        assert gradient == pytest.approx(complex_gradient(minimised, p), rel=1e-8, abs=1e-8 * np.abs(gradient).max())
        steps = 1e-6 * np.maximum(np.abs(p), 1.0)
        ends = [(p + d, p - d) for d in np.diag(steps)]
        slopes = [
            (complex_gradient(minimised, up) - complex_gradient(minimised, down)) / (2 * h)
            for (up, down), h in zip(ends, steps, strict=True)
        ]
        assert hessian == pytest.approx(np.array(slopes), rel=1e-5, abs=1e-5 * np.abs(hessian).max())
    assert checked


def derivatives(minimised: Minimised, p: FloatArray) -> tuple[FloatArray, FloatArray]:
    problem, weights = minimised.model.problem, minimised.weights
    gradient, hessian = problem.derivatives(problem.forward(p[None], weights), weights[None], np.array([True]))
    return gradient[0], hessian[0]


def complex_gradient(minimised: Minimised, p: FloatArray) -> FloatArray:
    steps = 1e-30j * np.eye(len(p))
    with np.errstate(all="ignore"):
        return complex_slopes(minimised, p, steps)


def complex_slopes(minimised: Minimised, p: FloatArray, steps: np.ndarray) -> FloatArray:
    return np.array([complex_objective(minimised, p + step).imag / 1e-30 for step in steps])


PROGRAM = """
import numpy as np
from worlds import WORLDS, scattered
from scaling_laws.fit import IntervalOptions, Objective, fit_law
for name in ("Precision", "Mixing", "Linear", "BNSL1", "TaskAccuracy"):
    world = WORLDS[name]
    points = scattered(world.exact(), world, np.random.default_rng(3).standard_normal)
    law = fit_law(points, world.form, objective=Objective(world.loss), intervals=IntervalOptions(draws=40, seed=3))
    print(*(x.hex() for c in law.coefficients for x in (c.value, c.standard_error, c.lower, c.upper)))
"""


def test_intervals_are_the_same_to_the_bit_with_any_number_of_threads() -> None:
    outputs = {
        subprocess.run(
            [sys.executable, "-c", PROGRAM],
            env={
                **os.environ,
                "OMP_NUM_THREADS": n,
                "OPENBLAS_NUM_THREADS": n,
                "PYTHONPATH": os.pathsep.join(sys.path),
            },
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        for n in ("1", "2", "4")
    }
    assert len(outputs) == 1
