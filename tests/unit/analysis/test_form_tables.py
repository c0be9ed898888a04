"""Every form in a spec is fitted on the trials that it speaks of, or refused with a sentence."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from scaling_api.v1alpha1.status import TrialState
from scaling_api.v1alpha1.trial import Timings, TrialKind, TrialRecord
from scaling_laws.analysis import Analysis, FittedLaw, analyse
from scaling_laws.law import FindingCode
from scaling_laws.law_requests import unfittable


def first(analysis: Analysis) -> FittedLaw:
    return analysis.laws[0]


def fitted(sweep, records: list[TrialRecord], **law: object) -> FittedLaw:
    spec = sweep.spec(laws=[{"name": "own", "bootstrap": 50, **law}])
    assert unfittable(spec) == ()
    return first(analyse(spec, records))


def changed(record: TrialRecord, **metrics: object) -> TrialRecord:
    status = record.status
    return record.model_copy(
        update={"status": status.model_copy(update={"metrics": status.metrics.model_copy(update=metrics)})}
    )


def test_an_expression_is_fitted_on_the_dense_models(sweep, truth) -> None:
    entry = fitted(
        sweep, sweep.records(), form="Expression", expression="loss = E + A/N^alpha + B/D^beta", loss="LogMse"
    )
    assert entry.refused is None
    assert entry.law.form == "Expression"
    assert entry.law.objective_name == "log-mse (mean)"
    assert entry.law.points == 32
    assert entry.law["beta"] == pytest.approx(truth["beta"], rel=0.3)


def test_an_expression_of_bits_sees_the_compressed_models(sweep) -> None:
    sweep.pipelines = {"int4": lambda N, D, M: 0.08, "int3": lambda N, D, M: 0.2}
    entry = fitted(sweep, sweep.records(), form="Expression", expression="loss = E + A/N^alpha + k*exp(-bits/g)")
    assert entry.refused is None
    assert entry.law.points == 96


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("loss = E + * N", "found '*' at position 12"),
        ("loss = N + D", "nothing to fit"),
        ("loss = E + A*x^2", "no name is a column"),
        ("loss = E/(N - N) + a", "N cancels out, so that no column is left"),
        ("wer = E + A/N^a", "there is no column wer"),
        ("import os", "'os' at position 8"),
    ],
)
def test_expressions_that_cannot_be_fitted_are_refused_before_and_after(sweep, expression: str, message: str) -> None:
    spec = sweep.spec(laws=[{"name": "own", "form": "Expression", "expression": expression}])
    (problem,) = unfittable(spec)
    assert problem.path == "spec.laws[0].expression"
    assert message in problem.message
    entry = first(analyse(spec, sweep.records()))
    assert entry.law is None
    assert entry.refused.message


@pytest.mark.parametrize(("form", "own"), [("Linear", "Mse"), ("ChinchillaEnvelope", "LogMse")])
def test_a_loss_that_a_form_cannot_be_fitted_by_is_said_before_anything_is_spent(sweep, form: str, own: str) -> None:
    (problem,) = unfittable(sweep.spec(laws=[{"name": "x", "form": form, "loss": "StudentT"}]))
    assert str(problem) == f"spec.laws[0].loss: {form} is fitted by {own} alone, found StudentT"
    assert unfittable(sweep.spec(laws=[{"name": "x", "form": form, "loss": own}])) == ()


def test_treatments_are_compared_with_the_first(sweep) -> None:
    clean = sweep.records()
    noisy = replace(sweep, treatment="noisy").records()
    shifted = [r if r.status.metrics.loss is None else changed(r, loss=r.status.metrics.loss + 0.2) for r in noisy]
    entry = fitted(sweep, [*shifted, *clean], form="DataQuality")
    assert entry.law["dE_noisy"] == pytest.approx(0.2, abs=0.02)


def test_accuracy_and_frontiers_come_from_dense_models(sweep, truth) -> None:
    records = [
        r
        if r.status.metrics.loss is None
        else changed(r, accuracy=0.9 / (1 + np.exp(3 * (r.status.metrics.loss - 2.2))))
        for r in sweep.records()
    ]
    entry = fitted(sweep, records, form="TaskAccuracy")
    assert entry.law["middle"] == pytest.approx(2.2, abs=0.1)
    without = fitted(sweep, sweep.records(), form="TaskAccuracy")
    assert "needs the column accuracy" in without.refused.message
    sweep.widths, sweep.seeds = (16, 20, 24, 28, 32, 48, 64), 1
    envelope = fitted(sweep, sweep.records(), form="ChinchillaEnvelope")
    assert (envelope.law or envelope.refused) is not None


@pytest.fixture
def timed(sweep) -> Callable[[], list[TrialRecord]]:
    def make() -> list[TrialRecord]:
        out = []
        for width in (16, 32):
            for workers in (1, 2, 4, 8):
                record = sweep.trial(width, 500_000, 0, TrialKind.DENSE, loss=2.0, workers=workers)
                rate = 1e6 / width**2 * workers / (1 + 0.05 * (workers - 1))
                timings = Timings(seconds=1.0, tokens_per_second=rate)
                out.append(record.model_copy(update={"status": record.status.model_copy(update={"timings": timings})}))
        return out

    return make


def test_throughput_is_fitted_over_workers(sweep, timed) -> None:
    entry = fitted(sweep, timed(), form="Amdahl")
    assert entry.refused is None
    assert entry.law["sigma"] == pytest.approx(0.05, abs=1e-6)
    lost = [r.model_copy(update={"status": r.status.model_copy(update={"state": TrialState.FAILED})}) for r in timed()]
    assert fitted(sweep, lost, form="Amdahl").refused.code == FindingCode.TOO_FEW_POINTS


def test_columns_that_trials_do_not_have_are_named(sweep) -> None:
    for form, column in (("Mixing", "domains"), ("Distillation", "teacher_loss"), ("DataConstrained", "U")):
        assert column in fitted(sweep, sweep.records(), form=form).refused.message


def test_compression_is_fitted_over_bits_beside_controls(sweep) -> None:
    sweep.pipelines = {"int4": lambda N, D, M: 0.05 * (D / 1e6) ** 0.5, "int3": lambda N, D, M: 0.15 * (D / 1e6) ** 0.5}
    sweep.penalty_noise = 0.0005
    entry = fitted(sweep, sweep.records(), form="Compression")
    assert entry.refused is None
    assert entry.law.points == 64
    assert entry.law["gamma"] == pytest.approx(1 / np.log(3), rel=0.05)
    assert entry.law["g"] == pytest.approx(0.5, abs=0.05)
