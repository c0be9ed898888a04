"""Tables of nonsense end in a law or in a sentence, without a warning and in bounded time."""

import time

import numpy as np
import pytest

from scaling_laws.fit import IntervalOptions, Objective, fit_law
from scaling_laws.forms import FORMS
from scaling_laws.law import IntervalMethod, LawRefusedError
from scaling_laws.points import FloatArray, Points

LONGEST_S = 60.0
"""Of processor time, for one fit on the worst of tables; measured: 9 s."""
METHODS = (None, IntervalMethod.PAIRS, IntervalMethod.PROFILE, IntervalMethod.SANDWICH, IntervalMethod.BCA)
LOSSES = (None, "log-huber", "log-mse", "mse", "huber", "log-t", "t")


def column(rng: np.random.Generator, n: int) -> FloatArray:
    kinds = (
        lambda: np.full(n, np.exp(rng.uniform(-5, 60))),
        lambda: np.exp(rng.uniform(0, 50, n)),
        lambda: np.exp(rng.uniform(10, 25)) * (1 + 1e-9 * rng.standard_normal(n)),
        lambda: rng.choice(np.exp(rng.uniform(10, 25, 3)), n),
        lambda: np.exp(rng.uniform(-300, 300, n)),
        lambda: np.arange(1.0, n + 1),
    )
    return np.asarray(kinds[rng.integers(len(kinds))](), dtype=np.float64)


def losses(rng: np.random.Generator, N: FloatArray, D: FloatArray) -> FloatArray:
    n = len(N)
    with np.errstate(all="ignore"):
        kinds = (
            np.full(n, 3.0), np.exp(rng.normal(1, 1, n)), 1.7 + 400 / N**0.34 + 2000 / D**0.37,
            1.7 + np.exp(rng.uniform(-100, 100, n)), N**0.1, np.abs(rng.standard_cauchy(n)) + 1e-9,
            3 + 1e-12 * rng.standard_normal(n), 1.0 + rng.integers(0, 2, n),
        )  # fmt: skip
        loss = np.asarray(kinds[rng.integers(len(kinds))], dtype=np.float64)
        return np.where(np.isfinite(loss) & (loss > 1e-140) & (loss < 1e140), loss, 1.0)


def nonsense(rng: np.random.Generator) -> Points:
    n = int(rng.choice([3, 8, 12, 20, 40]))
    N, D = column(rng, n), column(rng, n)
    numbers = {name: column(rng, n) for name in ("U", "G", "throughput")}
    chosen = {"S": (0, 0.5, 0.99), "P": (1, 4, 32), "experts": (1, 2, 64), "workers": (1, 2, 8)}
    texts = {"strategy": ("a", "b b"), "treatment": ("clean", "n-1"), "pipeline": ("dense", "x")}
    features = {
        **numbers,
        **{name: rng.choice(np.array(levels, dtype=np.float64), n) for name, levels in chosen.items()},
        **{name: rng.choice(levels, n) for name, levels in texts.items()},
        **{name: losses(rng, N, D) for name in ("teacher_loss", "supervised_loss")},
        **{name: rng.uniform(0, 1, n) for name in ("accuracy", "r_a", "r_b")},
    }
    clusters = None if rng.integers(2) else rng.integers(0, 5, n)
    return Points(N, D, losses(rng, N, D), clusters=clusters, features=features)


def told(points: Points, form: str, objective: Objective | None, options: IntervalOptions) -> list[str]:
    """Return the findings' sentences, or why there is no law."""
    try:
        law = fit_law(points, form, objective=objective, intervals=options)
    except (LawRefusedError, ValueError) as refusal:
        return [str(refusal) if type(refusal) in {LawRefusedError, ValueError} else repr(refusal)]
    return [finding.message for finding in law.findings]


def survive(form: str, seed: int) -> None:
    rng = np.random.default_rng([seed, *form.encode()])
    points, loss = nonsense(rng), LOSSES[rng.integers(len(LOSSES))]
    options = IntervalOptions(method=METHODS[rng.integers(len(METHODS))], draws=30)
    begun = time.process_time()
    sentences = told(points, form, None if loss is None else Objective(loss), options)
    assert all(sentence.endswith(".") for sentence in sentences)
    assert time.process_time() - begun < LONGEST_S


@pytest.mark.parametrize("form", FORMS)
def test_nonsense_ends_in_a_law_or_a_sentence(form: str) -> None:
    survive(form, 0)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(1, 11))
@pytest.mark.parametrize("form", FORMS)
def test_much_nonsense_ends_in_a_law_or_a_sentence(form: str, seed: int) -> None:
    survive(form, seed)
