"""Every code of a finding, with data that bring it about and data that do not; a new code fails here until it has both.

What the sentences say is tested beside what they speak of.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np
import pytest

from scaling_api.v1alpha1.status import TrialState
from scaling_api.v1alpha1.trial import TrialKind
from scaling_laws.analysis import analyse
from scaling_laws.answers.attribution import attribute
from scaling_laws.answers.compare import compare_forms
from scaling_laws.answers.corners import expected
from scaling_laws.exclusions import missingness
from scaling_laws.fit import IntervalOptions, Objective, fit_law
from scaling_laws.law import FindingCode, LawRefusedError
from scaling_laws.points import FloatArray, Points

SIZES, TOKENS = np.geomspace(1e6, 1e9, 6), np.geomspace(1e8, 1e11, 6)
WORKERS = np.repeat(2.0 ** np.arange(8), 3)


def grid(
    sizes: FloatArray | Sequence[float] = SIZES,
    tokens: FloatArray | Sequence[float] = TOKENS,
    *,
    seeds: int = 2,
    A: float = 400.0,
) -> Points:
    """Return a grid that obeys 1.7 + A/N^0.34 + 2000/D^0.37 up to .5 %; each size and seed is a trunk."""
    N, D = (np.repeat(x.ravel(), seeds) for x in np.meshgrid(sizes, tokens, indexing="ij"))
    scatter = np.exp(0.005 * np.random.default_rng(11).standard_normal(len(N)))
    trunks = np.unique(N, return_inverse=True)[1] * seeds + np.tile(np.arange(seeds), len(N) // seeds)
    return Points(N, D, (1.7 + A / N**0.34 + 2000 / D**0.37) * scatter, clusters=trunks)


def says(points: Points, form: str = "Chinchilla", *features: str) -> set[FindingCode]:
    """Return the codes of the law's findings, or of why there is none."""
    objective = Objective("mse" if form == "Linear" else "log-mse")
    try:
        law = fit_law(points, form, objective=objective, intervals=IntervalOptions(draws=0), features=features)
    except LawRefusedError as refusal:
        return {refusal.finding.code}
    return {finding.code for finding in law.findings}


def scaled(points: Points, by: FloatArray) -> Points:
    return replace(points, loss=points.loss * by)


def outlying(points: Points) -> Points:
    return scaled(points, np.where(np.isin(np.arange(len(points)), (3, 40)), 1.2, 1.0))


def drifting(*, named: bool) -> Points:
    """Return the points of six runs with luck of their own, with or without the column of the run."""
    points = grid(tokens=np.geomspace(1e8, 1e11, 12), seeds=1)
    runs = np.unique(points.N, return_inverse=True)[1]
    luck = 0.02 * np.random.default_rng(2).standard_normal(len(SIZES))[runs]
    return replace(scaled(points, np.exp(luck)), clusters=runs if named else None)


def curves() -> Points:
    """Return the checkpoints of forty runs."""
    return replace(grid(np.geomspace(1e7, 3e9, 40), np.geomspace(1e8, 3e11, 40), seeds=1), clusters=None)


def wrapped() -> Points:
    """Return compute that 64-bit integers could not hold."""
    points = grid(np.round(SIZES), np.round(TOKENS))
    exact = [6 * int(n) * int(d) for n, d in zip(points.N, points.D, strict=True)]
    return replace(points, features={"C": np.array([(c + 2**63) % 2**64 - 2**63 for c in exact], dtype=np.float64)})


def throughputs() -> Points:
    """Return tokens a second of one to 128 workers."""
    scatter = np.exp(0.01 * np.random.default_rng(0).standard_normal(len(WORKERS)))
    columns = {"workers": WORKERS, "throughput": 1e3 * WORKERS / (1 + 0.02 * (WORKERS - 1)) * scatter}
    ones = np.ones(len(WORKERS))
    return Points(1e8 * ones, 1e9 * ones, 3 * ones, features=columns)


def attributed(growth: float) -> set[FindingCode]:
    """Return what is said of a model's step from the middle of the grid."""
    law = fit_law(grid(), objective=Objective("log-mse"), intervals=IntervalOptions(draws=0))
    start, end = {"N": 1e7, "D": 1e9}, {"N": 1e7 * growth, "D": 1e9 * growth}
    return {finding.code for finding in attribute(expected(law), start, end, points=grid()).findings}


def compared(form: str) -> set[FindingCode]:
    (found,) = compare_forms(grid(), (form,), objective=Objective("log-mse"))
    return set() if found.refused is None else {found.refused.code}


def weak(points: Points) -> Points:
    return replace(points, steps=np.where(points.D < 2e8, 500.0, 5000.0))


def wavy(points: Points) -> Points:
    return scaled(points, 1 + 0.05 * np.sin(3 * np.log(points.N)))


ONE_LINE = ("log(N)", "log(D)", "log(C)")
Said = Callable[[], set[FindingCode]]
CASES: Mapping[FindingCode, tuple[Said, Said]] = {
    FindingCode.CONVERGED: (lambda: says(grid()), lambda: says(grid(sizes=(1e7, 1e9)))),
    FindingCode.NOT_CONVERGED: (lambda: says(grid(sizes=(1e7, 1e9))), lambda: says(grid())),
    FindingCode.WEAKLY_IDENTIFIED: (lambda: says(grid(sizes=np.linspace(1e8, 1.3e8, 6))), lambda: says(grid())),
    FindingCode.BOUND_HIT: (lambda: says(scaled(grid(A=0.0), (grid().N / 1e8) ** 0.002)), lambda: says(grid())),
    FindingCode.COLLINEAR: (
        lambda: says(grid(), "Linear", *ONE_LINE),
        lambda: says(grid(), "Linear", *ONE_LINE[:2]),
    ),
    FindingCode.STEP_LIMITED: (
        lambda: says(weak(grid())),
        lambda: says(replace(grid(), steps=np.full(len(grid()), 1000.0))),
    ),
    FindingCode.LACK_OF_FIT: (lambda: says(wavy(grid(seeds=3))), lambda: says(grid(seeds=3))),
    FindingCode.TOO_FEW_POINTS: (lambda: says(grid(SIZES[:3], TOKENS[:2], seeds=1)), lambda: says(grid())),
    FindingCode.TOO_FEW_LEVELS: (lambda: says(grid(SIZES[:1])), lambda: says(grid())),
    FindingCode.TOO_FEW_CLUSTERS: (lambda: says(grid(np.geomspace(1e6, 1e9, 5), seeds=1)), lambda: says(grid())),
    FindingCode.OUTLIERS: (lambda: says(outlying(grid())), lambda: says(grid())),
    FindingCode.CORRELATED_POINTS: (lambda: says(drifting(named=False)), lambda: says(drifting(named=True))),
    FindingCode.TRAJECTORIES_ASSUMED: (
        lambda: says(curves(), "ChinchillaEnvelope"),
        lambda: says(replace(curves(), clusters=np.repeat(np.arange(40), 40)), "ChinchillaEnvelope"),
    ),
    FindingCode.BIASED: (lambda: says(curves(), "ChinchillaEnvelope"), lambda: says(curves())),
    FindingCode.OVERFLOW: (lambda: says(wrapped(), "SaturatingC"), lambda: says(grid(), "SaturatingC")),
    FindingCode.CHOSEN: (lambda: says(throughputs(), "ParallelEfficiency"), lambda: says(throughputs(), "Amdahl")),
    FindingCode.EXTRAPOLATION_UNTESTED: (lambda: attributed(1e6), lambda: attributed(10.0)),
    FindingCode.INVALID_REQUEST: (lambda: compared("Precision"), lambda: compared("Kaplan")),
}
OF_EXPERIMENTS = {
    FindingCode.MULTIPLIER_NOT_CONSTANT, FindingCode.INFORMATIVE_MISSINGNESS, FindingCode.DENSE_ONLY,
}  # fmt: skip
"""Those that need trials: each has a test of its own below."""


@pytest.mark.parametrize("code", [code for code in FindingCode if code not in OF_EXPERIMENTS])
def test_each_code_is_said_of_one_table_and_not_of_another(code: FindingCode) -> None:
    bad, good = CASES[code]
    assert code in bad()
    assert code not in good()


def test_missing_trials_are_informative_where_a_size_diverged(sweep) -> None:
    def ended(record):
        metrics = record.status.metrics.model_copy(update={"loss": None})
        status = record.status.model_copy(update={"state": TrialState.DIVERGED, "metrics": metrics})
        return record.model_copy(update={"status": status})

    def is_lost(record) -> bool:
        return record.spec.kind is TrialKind.DENSE and record.spec.model.width == 64

    records = sweep.records()
    lost = [ended(record) if is_lost(record) else record for record in records]
    assert [f.code for f in missingness(lost, treatment="clean")] == [FindingCode.INFORMATIVE_MISSINGNESS]
    assert missingness(records, treatment="clean") == ()


@pytest.mark.parametrize("form", ["Chinchilla", "Joint"])
def test_only_a_law_that_knows_no_pipelines_says_so(sweep, form: str) -> None:
    sweep.pipelines = {"int4": lambda N, D, M: 0.02}
    laws = [{"name": "asked", "form": form, "bootstrap": 0}]
    analysis = analyse(sweep.spec(laws=laws, ask={"servingMemory": ["1Gi"]}), sweep.records())
    codes = {finding.code for answer in analysis.answers for finding in answer.findings}
    assert (FindingCode.DENSE_ONLY.value in codes) == (form == "Chinchilla")


@pytest.mark.parametrize("grows", [True, False])
def test_only_a_multiplier_that_changes_is_said_to(sweep, truth, grows: bool) -> None:
    def penalty(N: float, D: float, M: float) -> float:
        left = N - (1 - (np.exp(-0.5 * (D / N / 40) ** 0.8) if grows else 0.6)) * M
        return float(truth["A"] * (left ** -truth["alpha"] - N ** -truth["alpha"]))

    sweep.pipelines, sweep.penalty_noise = {"int3": penalty}, 0.001
    laws = [{"name": "asked", "form": "Joint", "bootstrap": 0}]
    (entry,) = analyse(sweep.spec(laws=laws), sweep.records()).laws
    codes = {finding.code for law in entry.pipelines for finding in law.findings}
    assert (FindingCode.MULTIPLIER_NOT_CONSTANT in codes) == grows
