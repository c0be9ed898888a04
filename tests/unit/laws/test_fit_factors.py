"""The three factors of a linear law: what compute, data and compression explain."""

from itertools import permutations

import numpy as np
import pytest

from scaling_laws.fit import fit_law
from scaling_laws.points import Points

FEATURES = ("log(N)", "log(D)", "treatment", "pipeline")


def table() -> Points:
    rng = np.random.default_rng(0)
    N, D = np.exp(rng.uniform(14, 20, 200)), np.exp(rng.uniform(18, 24, 200))
    pipeline = rng.choice(["dense", "int4", "p50"], 200)
    treatment = rng.choice(["clean", "noisy"], 200)
    cost = np.select([pipeline == "int4", pipeline == "p50"], [0.2, 0.5], 0.0) + 0.1 * (treatment == "noisy")
    loss = 8 - 0.1 * np.log(N) - 0.15 * np.log(D) + cost + 0.05 * rng.standard_normal(200)
    features = {"pipeline": pipeline, "treatment": treatment, "hours": np.exp(rng.uniform(0, 3, 200))}
    return Points(N, D, loss, features=features)


def test_shares_add_up_to_r2_and_each_factor_has_its_columns() -> None:
    law = fit_law(table(), "Linear", features=FEATURES)
    assert [(f.name, f.features) for f in law.factors] == [
        ("compute", ("log(N)",)),
        ("data", ("log(D)", "treatment=noisy")),
        ("compression", ("pipeline=int4", "pipeline=p50")),
    ]
    assert sum(f.share for f in law.factors) == pytest.approx(law.goodness["r2"], abs=1e-12)
    for factor in law.factors:
        assert factor.p < 1e-10
        assert 0 < factor.r2_added < 1
        assert factor.spread > 0.05


def test_shares_are_the_mean_over_all_orders() -> None:
    points = table()
    law = fit_law(points, "Linear", features=FEATURES)
    columns = {f.name: [name.split("=")[0] for name in f.features] for f in law.factors}

    def r2(names: tuple[str, ...]) -> float:
        own = tuple(dict.fromkeys(column for name in names for column in columns[name]))
        return fit_law(points, "Linear", features=own).goodness["r2"] if own else 0.0

    gains = []
    for order in permutations(columns):
        at = order.index("data")
        gains.append(r2(order[: at + 1]) - r2(order[:at]))
    data = next(f for f in law.factors if f.name == "data")
    assert data.share == pytest.approx(np.mean(gains), abs=1e-10)
    assert data.r2_alone == pytest.approx(r2(("data",)), abs=1e-10)


def test_a_factor_without_effect_adds_nothing_and_others_may_be_named() -> None:
    law = fit_law(table(), "Linear", features=(*FEATURES, "hours"))
    assert [f.name for f in law.factors] == ["compute", "data", "compression", "other"]
    assert law.factors[-1].p > 1e-3
    named = fit_law(table(), "Linear", features=(*FEATURES, "hours"), factors={"annotation": ("hours",)})
    assert [f.name for f in named.factors] == ["compute", "data", "compression", "annotation"]
    with pytest.raises(ValueError, match="has no column cost"):
        fit_law(table(), "Linear", features=FEATURES, factors={"annotation": ("cost",)})
    with pytest.raises(ValueError, match="only Linear does"):
        fit_law(table(), "Chinchilla", factors={"compute": ("N",)})


def test_columns_of_one_factor_need_no_table() -> None:
    assert fit_law(table(), "Linear", features=("log(N)",)).factors == ()
