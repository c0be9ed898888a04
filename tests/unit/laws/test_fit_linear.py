"""The linear law: least squares done properly."""

import numpy as np
import pytest

from scaling_laws.fit import IntervalOptions, Objective, fit_law, predict, predict_draws
from scaling_laws.fit.least_squares import least_squares
from scaling_laws.law import FindingCode, IntervalMethod, LawRefusedError
from scaling_laws.points import Points

# NIST Statistical Reference Datasets, Longley (1967): y, x1 ... x6. Public domain.
LONGLEY = np.array(
    [
        [60323, 83.0, 234289, 2356, 1590, 107608, 1947],
        [61122, 88.5, 259426, 2325, 1456, 108632, 1948],
        [60171, 88.2, 258054, 3682, 1616, 109773, 1949],
        [61187, 89.5, 284599, 3351, 1650, 110929, 1950],
        [63221, 96.2, 328975, 2099, 3099, 112075, 1951],
        [63639, 98.1, 346999, 1932, 3594, 113270, 1952],
        [64989, 99.0, 365385, 1870, 3547, 115094, 1953],
        [63761, 100.0, 363112, 3578, 3350, 116219, 1954],
        [66019, 101.2, 397469, 2904, 3048, 117388, 1955],
        [67857, 104.6, 419180, 2822, 2857, 118734, 1956],
        [68169, 108.4, 442769, 2936, 2798, 120445, 1957],
        [66513, 110.8, 444546, 4681, 2637, 121950, 1958],
        [68655, 112.6, 482704, 3813, 2552, 123366, 1959],
        [69564, 114.2, 502601, 3931, 2514, 125368, 1960],
        [69331, 115.7, 518173, 4806, 2572, 127852, 1961],
        [70551, 116.9, 554894, 4007, 2827, 130081, 1962],
    ]
)
CERTIFIED = {
    "const": (-3482258.63459582, 890420.383607373),
    "x1": (15.0618722713733, 84.9149257747669),
    "x2": (-0.358191792925910e-01, 0.334910077722432e-01),
    "x3": (-2.02022980381683, 0.488399681651699),
    "x4": (-1.03322686717359, 0.214274163161675),
    "x5": (-0.511041056535807e-01, 0.226073200069370),
    "x6": (1829.15146461355, 455.478499142212),
}


def longley() -> Points:
    features = {f"x{j}": LONGLEY[:, j] for j in range(1, 7)}
    return Points(np.ones(16), np.ones(16), LONGLEY[:, 0], features=features)


def sweep(seed: int = 0, pipelines: tuple[str, ...] = ("dense", "int4"), noise: float = 0.01) -> Points:
    """4 sizes x 4 token counts x 2 seeds x pipelines; each size and seed is one trajectory."""
    rng = np.random.default_rng(seed)
    cells = [
        (N, D, s, p) for N in (1e4, 3e4, 1e5, 3e5) for s in (0, 1) for D in (5e5, 1e6, 2e6, 4e6) for p in pipelines
    ]
    N, D = np.array([c[0] for c in cells]), np.array([c[1] for c in cells])
    pipeline = np.array([c[3] for c in cells])
    clusters = np.unique([f"{c[0]} {c[2]}" for c in cells], return_inverse=True)[1]
    trunk = rng.normal(size=8)[clusters]
    loss = 6.0 - 0.1 * np.log(N) - 0.15 * np.log(D) + 0.2 * (pipeline == "int4")
    loss = loss + noise * (trunk + rng.normal(size=len(cells)))
    return Points(N, D, loss, clusters=clusters, features={"pipeline": pipeline})


def test_longley_to_eight_digits() -> None:
    law = fit_law(longley(), "Linear", features=tuple(f"x{j}" for j in range(1, 7)))
    for name, (value, error) in CERTIFIED.items():
        assert law[name] == pytest.approx(value, rel=1e-8)
        assert law.details["least_squares"][name] == pytest.approx(error, rel=1e-8)
    assert law.goodness["r2"] == pytest.approx(0.995479004577296, rel=1e-10)
    assert law.objective == pytest.approx(836424.055505915, rel=1e-9)
    assert law.goodness["residual_standard_deviation"] == pytest.approx(304.854073561965, rel=1e-9)
    assert law.goodness["f"] == pytest.approx(330.285339234588, rel=1e-8)
    assert law.has(FindingCode.COLLINEAR)
    assert law.details["vif"]["x6"] == pytest.approx(758.980597, rel=1e-6)


def test_default_features_are_log_sizes_and_pipelines_compared_with_dense() -> None:
    law = fit_law(sweep(pipelines=("p50", "dense", "int4")), "Linear")
    assert [c.name for c in law.coefficients] == ["const", "log(N)", "log(D)", "pipeline=int4", "pipeline=p50"]
    assert law["log(N)"] == pytest.approx(-0.1, abs=0.02)
    assert law["log(D)"] == pytest.approx(-0.15, abs=0.02)
    assert law["pipeline=int4"] == pytest.approx(0.2, abs=0.02)
    assert law["pipeline=p50"] == pytest.approx(0.0, abs=0.02)
    assert not law.has(FindingCode.COLLINEAR)
    assert predict(law, 1e5, 1e6) == pytest.approx(6 - 0.1 * np.log(1e5) - 0.15 * np.log(1e6), abs=0.05)
    assert predict_draws(law, [1e5, 1e6], 1e6).shape == (1000, 2)


def test_one_pipeline_needs_no_dummy_and_another_reference_is_first_in_the_alphabet() -> None:
    alone = fit_law(sweep(pipelines=("int4",)), "Linear")
    assert [c.name for c in alone.coefficients] == ["const", "log(N)", "log(D)"]
    others = fit_law(sweep(pipelines=("int8", "int4")), "Linear")
    assert others.coefficients[-1].name == "pipeline=int8"


def test_features_are_columns_logs_and_compute() -> None:
    points = sweep()
    law = fit_law(points, "Linear", features=("N", "log(C)", "pipeline"))
    assert [c.name for c in law.coefficients] == ["const", "N", "log(C)", "pipeline=int4"]
    design = np.column_stack(
        [np.ones(64), points.N, np.log(6 * points.N * points.D), points.features["pipeline"] == "int4"]
    )
    expected = np.linalg.lstsq(design, points.loss)[0]
    assert [c.value for c in law.coefficients] == pytest.approx(expected, rel=1e-9)


def test_errors_agree_with_their_textbook_formulas() -> None:
    points = sweep()
    law = fit_law(points, "Linear")
    X = np.column_stack([np.ones(64), np.log(points.N), np.log(points.D), points.features["pipeline"] == "int4"])
    inverse = np.linalg.inv(X.T @ X)
    r, h = law.residuals, np.diag(X @ inverse @ X.T)
    classic = np.sqrt(np.diag(inverse) * (r @ r) / 60)
    hc3 = np.sqrt(np.diag(inverse @ (X.T * (r / (1 - h)) ** 2) @ X @ inverse))
    fits = [np.linalg.lstsq(X[points.clusters != g], points.loss[points.clusters != g])[0] for g in range(8)]
    cr3 = np.sqrt(7 / 8 * np.sum((np.array(fits) - np.mean(fits, axis=0)) ** 2, axis=0))
    for name, expected in (("least_squares", classic), ("hc3", hc3), ("cr3", cr3)):
        assert list(law.details[name].values()) == pytest.approx(expected, rel=1e-7)
    values = np.array([c.value for c in law.coefficients])
    assert list(law.details["t"].values()) == pytest.approx(values / cr3, rel=1e-7)
    assert law.interval_method == IntervalMethod.WILD_CLUSTER_T
    assert [c.standard_error for c in law.coefficients] == pytest.approx(cr3, rel=1e-7)
    assert all(c.lower < c.value < c.upper for c in law.coefficients)


def test_without_trajectories_the_intervals_are_least_squares_own() -> None:
    points = sweep()
    law = fit_law(Points(points.N, points.D, points.loss, features=points.features), "Linear")
    assert law.interval_method == IntervalMethod.LEAST_SQUARES
    slope = law.coefficients[1]
    assert slope.upper - slope.value == pytest.approx(2.0002978 * slope.standard_error, rel=1e-6)  # t, 60 degrees
    assert 0 < law.details["p"]["log(N)"] < 1e-10
    assert "cr3" not in law.details


@pytest.mark.parametrize(
    "method", [IntervalMethod.HC3, IntervalMethod.CV3, IntervalMethod.PAIRS, IntervalMethod.CLUSTER_PAIRS]
)
def test_other_interval_methods_are_there_on_request(method: IntervalMethod) -> None:
    law = fit_law(sweep(), "Linear", intervals=IntervalOptions(method=method, draws=400))
    assert law.interval_method == method
    assert all(c.lower < c.value < c.upper for c in law.coefficients)


def test_duplicated_rows_equal_doubled_weights() -> None:
    points = sweep()
    twice = np.concatenate([np.arange(64), np.arange(10)])
    features = {"pipeline": points.features["pipeline"]}
    weighted = Points(points.N, points.D, points.loss, weights=1.0 + (np.arange(64) < 10), features=features)
    repeated = Points(
        points.N[twice], points.D[twice], points.loss[twice], features={"pipeline": features["pipeline"][twice]}
    )
    one, other = fit_law(weighted, "Linear"), fit_law(repeated, "Linear")
    assert [c.value for c in one.coefficients] == pytest.approx([c.value for c in other.coefficients], rel=1e-10)
    assert one.objective == pytest.approx(other.objective, rel=1e-10)


def test_compute_beside_tokens_is_called_collinear_and_sizes_and_tokens_are_not() -> None:
    law = fit_law(sweep(), "Linear", features=("log(C)", "log(D)", "pipeline"))
    assert law.has(FindingCode.COLLINEAR)
    assert any("6ND" in f.message for f in law.findings)
    assert not fit_law(sweep(), "Linear", features=("log(N)", "log(D)", "pipeline")).has(FindingCode.COLLINEAR)


def test_dependent_columns_are_refused_by_name() -> None:
    with pytest.raises(
        LawRefusedError, match=r"Feature log\(C\) is a linear combination of const, log\(N\), log\(D\)"
    ) as e:
        fit_law(sweep(), "Linear", features=("log(N)", "log(D)", "log(C)"))
    assert e.value.finding.code == FindingCode.COLLINEAR


@pytest.mark.parametrize(
    ("features", "message"),
    [
        (("bits",), "no feature named 'bits'; the points have N, D, C, pipeline"),
        (("log(pipeline)",), "takes the logarithm of text"),
        (("N", "N"), "named more than once"),
    ],
)
def test_features_that_cannot_be_used_are_named(features: tuple[str, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        fit_law(sweep(), "Linear", features=features)


def test_a_feature_with_one_value_is_refused() -> None:
    points = sweep(pipelines=("dense",))
    with pytest.raises(LawRefusedError, match=r"Feature pipeline has the same value \(dense\)") as e:
        fit_law(points, "Linear", features=("log(N)", "pipeline"))
    assert e.value.finding.code == FindingCode.TOO_FEW_LEVELS


def test_too_few_points_and_other_objectives_are_refused() -> None:
    few = Points(np.array([1.0, 2, 3, 4, 5]), np.array([1.0, 3, 2, 5, 4]), np.array([1.0, 2, 3, 2, 1]))
    with pytest.raises(LawRefusedError, match="5 points; it needs at least 6") as e:
        fit_law(few, "Linear")
    assert e.value.finding.code == FindingCode.TOO_FEW_POINTS
    with pytest.raises(ValueError, match=r"least squares \(mse\)"):
        fit_law(sweep(), "Linear", objective=Objective("log-mse"))


def test_the_starting_documents_example_adds_up_to_nine_tenths() -> None:
    compute, data, compression = np.random.default_rng(0).uniform(0, 1, (3, 20))
    performance = 0.2 * compute + 0.3 * data + 0.4 * compression + 1e-9
    features = {"compute": compute, "data": data, "compression": compression}
    law = fit_law(Points(np.ones(20), np.ones(20), performance, features=features), "Linear", features=tuple(features))
    assert sum(law[name] for name in features) == pytest.approx(0.9, abs=1e-9)


def test_linear_cannot_predict_from_sizes_what_depends_on_more() -> None:
    points = sweep()
    bits = np.random.default_rng(1).uniform(2, 8, 64)
    law = fit_law(
        Points(points.N, points.D, points.loss, features={"bits": bits}), "Linear", features=("log(N)", "bits")
    )
    with pytest.raises(ValueError, match="also depends on bits"):
        predict(law, 1e6, 1e9)


def test_draws_of_large_tables_are_refused_and_not_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scaling_laws.fit.linear_intervals.LARGE", 1000)
    assert fit_law(sweep(), "Linear").interval_method == IntervalMethod.CV3
    with pytest.raises(ValueError, match="ask for fewer draws, or for CV3 or HC3"):
        fit_law(sweep(), "Linear", intervals=IntervalOptions(method=IntervalMethod.PAIRS))


def test_least_squares_refuses_dependent_columns() -> None:
    x = np.arange(10.0)
    with pytest.raises(np.linalg.LinAlgError):
        least_squares(np.column_stack([np.ones(10), x, 3 * x + 1]), x)
