"""Which of an experiment's trials a form is fitted on, with the columns by the names that forms call them."""

from collections.abc import Iterable, Mapping
from dataclasses import replace

import numpy as np

from scaling_api.v1alpha1.laws import ParameterConvention
from scaling_api.v1alpha1.status import TrialState
from scaling_api.v1alpha1.trial import TrialKind, TrialRecord
from scaling_laws.columns import codes
from scaling_laws.forms import ExpressionForm, Form, LinearForm, TableForm
from scaling_laws.points import FloatArray, Points, select
from scaling_laws.records import canonical, count_parameters, has_result, points_from_records, table_from_records

OF_COMPRESSION = frozenset(
    (
        "S", "P", "sparsity", "bits", "effective_bits", "stored_bytes", "nonzero_parameters", "inference_flops",
        "pipeline", "extra_fraction", "control_loss",
    )
)  # fmt: skip
"""Columns that vary among compressed models."""
OF_TREATMENTS = frozenset(("treatment", "token_noise", "Q"))
OF_TIMINGS = frozenset(("throughput", "workers", "strategy"))
ALIASES: Mapping[str, str] = {"S": "sparsity", "P": "bits"}
"""Columns of published forms, by the names that trials have them under."""


def points_for(
    records: Iterable[TrialRecord], form: Form, *, convention: ParameterConvention, treatment: str
) -> Points:
    """Return the points of a form: dense models of the first treatment, unless it uses what those have alike.

    Args:
        records: of any kind and state.
        form: what will be fitted.
        convention: what N counts.
        treatment: name of the first treatment.
    """
    names = _columns(form)
    if "control_loss" in names:
        return _with_aliases(_with_controls(records, convention))
    if isinstance(form, LinearForm) or names & OF_COMPRESSION:
        return _with_aliases(table_from_records(records, convention=convention))
    if names & OF_TIMINGS:
        return timings_from_records(records, convention=convention)
    if names & OF_TREATMENTS:
        points = points_from_records(records, convention=convention, treatment=None)
        return _reference_first(points, treatment)
    return points_from_records(records, convention=convention, treatment=treatment)


def _with_controls(records: Iterable[TrialRecord], convention: ParameterConvention) -> Points:
    """Return dense models and those compressed ones whose control has a loss, with that loss beside theirs."""
    rows = canonical(records)
    points = table_from_records(rows, convention=convention)
    by_id = {record.spec.id: record for record in rows}
    losses = np.array([_control_loss(by_id, str(trial)) for trial in points.features["trial"]])
    known = select(points, ~np.isnan(losses))
    return replace(known, features={**known.features, "control_loss": losses[~np.isnan(losses)]})


def _control_loss(by_id: Mapping[str, TrialRecord], trial: str) -> float:
    """Return the loss that a model is compared with: its control's, or its own for a dense one."""
    record = by_id[trial]
    compared = by_id.get(record.spec.control or "") if record.spec.kind is TrialKind.PIPELINE else record
    loss = None if compared is None or not has_result(compared) else compared.status.metrics.loss
    return float("nan") if loss is None else loss


def timings_from_records(records: Iterable[TrialRecord], *, convention: ParameterConvention) -> Points:
    """Return the throughput of every trial that was trained here, with its workers; losses are left out (all one)."""
    kinds = {TrialKind.TRUNK, TrialKind.DENSE}
    rows = [r for r in canonical(records) if r.spec.kind in kinds and r.status.state is TrialState.SUCCEEDED]
    timed = [(r, t.tokens_per_second) for r in rows if (t := r.status.timings) is not None and t.tokens_per_second]
    return Points(
        N=_numbers(count_parameters(r.spec.parameters, convention) for r, _ in timed),
        D=_numbers(r.spec.tokens for r, _ in timed),
        loss=np.ones(len(timed)),
        clusters=codes([r.spec.trajectory for r, _ in timed]),
        features={
            "throughput": _numbers(rate for _, rate in timed),
            "workers": _numbers(r.spec.compute.workers for r, _ in timed),
            "strategy": np.array([_strategy(r) for r, _ in timed], dtype=np.str_),
        },
    )


def _strategy(record: TrialRecord) -> str:
    """Return the strategy of a record, with its pool where that is named: another accelerator is another law."""
    compute = record.spec.compute
    return f"{compute.strategy.value} on {compute.pool}" if compute.pool else compute.strategy.value


def _columns(form: Form) -> frozenset[str]:
    if isinstance(form, ExpressionForm):
        return frozenset((*form.equation.names, form.equation.response))
    return frozenset((*form.columns, *form.uses)) if isinstance(form, TableForm) else frozenset()


def _with_aliases(points: Points) -> Points:
    known = {name: points.features[own] for name, own in ALIASES.items() if own in points.features}
    return replace(points, features={**points.features, **known})


def _reference_first(points: Points, treatment: str) -> Points:
    """Return the rows with those of the first treatment in front: others are compared with it."""
    return select(points, np.argsort(points.features["treatment"] != treatment, kind="stable"))


def _numbers(values: Iterable[float]) -> FloatArray:
    return np.array(list(values), dtype=np.float64)
