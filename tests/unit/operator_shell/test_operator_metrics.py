"""Metrics: one meaning a family, no series without its experiment, no words of a driver's without end."""

import re
from types import SimpleNamespace
from typing import Any, cast

from lying_driver import RECORD

from scaling_api.v1alpha1.status import Coefficient, Condition, ExperimentStatus, LawStatus, Spent, TrialCounts
from scaling_api.v1alpha1.trial import TrialRecord
from scaling_operator.cluster.observe import Pass
from scaling_operator.cluster.seen import Key
from scaling_operator.decision import Decision
from scaling_operator.metrics import MOST_REASONS, Gauges, Metrics

KEY = Key("ns", "e")


def status() -> ExperimentStatus:
    coefficients = (
        Coefficient(name="alpha", value=0.4, lower=0.3, upper=0.5),
        Coefficient(name="E", value=1.2),
        Coefficient(name="int4.k", value=0.01),
        Coefficient(name="log data-size", value=2.0),
    )
    return ExperimentStatus(
        conditions=(
            Condition.model_validate(
                {
                    "type": "Accepted",
                    "status": "True",
                    "reason": "Planned",
                    "lastTransitionTime": "2026-01-01T00:00:00Z",
                }
            ),
        ),
        trials=TrialCounts(succeeded=3, failed=1),
        spent=Spent(training_flops=5e12, accelerator_seconds=7.0),
        best_loss=1.5,
        laws=(LawStatus(name="chinchilla", form="Chinchilla", points=8, coefficients=coefficients),),
    )


def passed(metrics: Metrics, **decided: Any) -> None:
    found = cast(Pass, SimpleNamespace(observed=SimpleNamespace(status=ExperimentStatus())))
    metrics.passed(KEY, found, Decision(status=status(), **decided), seconds=0.01)


def samples(metrics: Metrics) -> dict[str, float]:
    lines = (line.rpartition(" ") for line in metrics.text().decode().splitlines() if line.startswith("scaling_"))
    return {name: float(value) for name, _, value in lines}


def test_series_come_from_the_status_and_go_with_the_experiment() -> None:
    metrics = Metrics(Gauges(lambda: 2, lambda: {"pods": 4.0}, lambda: True))
    passed(metrics)
    found = samples(metrics)
    assert found['scaling_experiments{condition="Accepted",status="True"}'] == 1
    assert found['scaling_trials{experiment="e",namespace="ns",state="succeeded"}'] == 3
    assert found['scaling_spent_training_flops_total{experiment="e",namespace="ns"}'] == 5e12
    assert found['scaling_spent_accelerator_seconds_total{experiment="e",namespace="ns"}'] == 7
    assert found['scaling_best_loss_nats{experiment="e",namespace="ns"}'] == 1.5
    law = 'experiment="e",law="chinchilla",namespace="ns",pipeline='
    assert found[f'scaling_law_alpha{{{law}""}}'] == 0.4
    assert found[f'scaling_law_alpha_lower{{{law}""}}'] == 0.3
    assert found[f'scaling_law_alpha_upper{{{law}""}}'] == 0.5
    assert found[f'scaling_law_E{{{law}""}}'] == 1.2
    assert f'scaling_law_E_lower{{{law}""}}' not in found
    assert found[f'scaling_law_penalty_k{{{law}"int4"}}'] == 0.01
    assert found[f'scaling_law_log_data_size{{{law}""}}'] == 2.0
    assert found["scaling_queue_depth"] == 2
    assert found['scaling_watch_age_seconds{resource="pods"}'] == 4
    metrics.forgot(KEY)
    assert not any('experiment="e"' in name for name in samples(metrics))


def test_every_name_begins_with_the_prefix_and_no_label_grows_with_trials_pods_or_uids() -> None:
    metrics = Metrics()
    passed(metrics, trials=(failed("NonFiniteLoss"),))
    text = metrics.text().decode()
    names = {line.split()[2] for line in text.splitlines() if line.startswith("# TYPE")}
    assert all(name.startswith(("scaling_", "process_", "python_")) for name in names)
    labels = set(re.findall(r'[{,](\w+)="', text))
    assert labels <= {
        "namespace", "experiment", "law", "pipeline", "state", "condition", "status", "resource", "le", "reason",
        "class", "kind", "verb", "code", "outcome", "type", "version", "implementation", "major", "minor", "patchlevel",
    }  # fmt: skip


def failed(reason: str) -> TrialRecord:
    failure = {"failureClass": "Application", "reason": reason, "message": "it failed"}
    return TrialRecord.model_validate({**RECORD, "status": {"state": "Failed", "attempts": 1, "failure": failure}})


def test_reasons_are_counted_by_name_until_there_are_too_many() -> None:
    metrics = Metrics()
    passed(metrics, trials=tuple(failed(f"Reason{number}") for number in range(3 * MOST_REASONS)))
    passed(metrics, trials=(failed("Reason1"), failed("no word")))
    found = {name: n for name, n in samples(metrics).items() if name.startswith("scaling_attempt_failures_total")}
    assert len(found) == MOST_REASONS + 1
    assert found['scaling_attempt_failures_total{class="Application",reason="Reason1"}'] == 2
    assert found['scaling_attempt_failures_total{class="Application",reason="Other"}'] == 2 * MOST_REASONS + 1
