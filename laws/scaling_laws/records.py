"""From trial records to tables: dense points, all points, and compressed models beside their controls.

Rows stand in an order of their content (N, D, treatment, pipeline, seed, id), never in the order of completion, so that
the same trials give the same numbers to the last bit, however the sweep went.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scaling_api.v1alpha1.compression import Prune, Quantize
from scaling_api.v1alpha1.laws import ParameterConvention
from scaling_api.v1alpha1.status import TrialState
from scaling_api.v1alpha1.trial import ParameterCounts, TrialKind, TrialRecord, TrialSpec
from scaling_laws.columns import codes
from scaling_laws.points import FloatArray, Points

UNQUANTIZED_BITS = 32
"""Bits of a weight that no stage quantizes, for the feature `bits`."""
HAS_RESULT = frozenset({TrialState.SUCCEEDED, TrialState.CACHED})


@dataclass(frozen=True)
class PipelinePoint:
    """One compressed model beside the control it is compared with."""

    trial: str
    pipeline: str
    treatment: str
    seed: int
    N: float
    D: float
    cluster: int
    loss: float
    control_loss: float
    penalty: float
    """loss - control_loss, nats."""
    stored_bytes: float
    """NaN where it was not measured."""
    effective_bits: float
    """NaN where it was not measured."""
    inference_flops: float
    """NaN where it was not measured."""
    compressible: float | None = None
    """Parameters that compression acts on: those of the blocks."""


def canonical(records: Iterable[TrialRecord]) -> tuple[TrialRecord, ...]:
    """Return one record a trial, whatever the order and the repetitions of `records`.

    Of several records of one trial the one with a result stands, then the one with the most attempts.
    """
    best: dict[str, TrialRecord] = {}
    for record in records:
        held = best.setdefault(record.spec.id, record)
        if held is not record and held != record:
            best[record.spec.id] = max(held, record, key=_weight)
    return tuple(sorted(best.values(), key=_place))


def has_result(record: TrialRecord) -> bool:
    """Whether the trial ended with a positive loss, which laws can use."""
    loss = record.status.metrics.loss
    return record.status.state in HAS_RESULT and loss is not None and loss > 0


def loss_of(record: TrialRecord) -> float:
    """Return the loss of a record that has a result."""
    loss = record.status.metrics.loss
    assert loss is not None
    return loss


def count_parameters(counts: ParameterCounts, convention: ParameterConvention) -> int:
    """Return N by the convention."""
    return {
        ParameterConvention.MATMUL: counts.matmul,
        ParameterConvention.BLOCKS: counts.blocks,
        ParameterConvention.TOTAL: counts.total,
    }[convention]


def dense_records(records: Iterable[TrialRecord], *, treatment: str | None = None) -> tuple[TrialRecord, ...]:
    """Return the dense records with a result, of one treatment or all; a model measured on several computes once.

    The number of workers changes a loss by rounding only: a second copy would pass for a replicate that it is not.
    """
    rows = [r for r in canonical(records) if r.spec.kind is TrialKind.DENSE and has_result(r)]
    rows = [r for r in rows if treatment is None or r.spec.treatment.name == treatment]
    return tuple(r for i, r in enumerate(rows) if i == 0 or _model(rows[i - 1].spec) != _model(r.spec))


def points_from_records(
    records: Iterable[TrialRecord], *, convention: ParameterConvention, treatment: str | None
) -> Points:
    """Return the dense points of a treatment (None: of all), with steps, trajectories and features.

    Args:
        records: of any kind and state; those that are no dense points are passed over.
        convention: what N counts.
        treatment: name of the data-quality level.
    """
    return _points(dense_records(records, treatment=treatment), convention)


def table_from_records(records: Iterable[TrialRecord], *, convention: ParameterConvention) -> Points:
    """Return every measured model, dense and compressed, of all treatments: the table of a linear law.

    Controls are left out: they exist for the pipelines' comparisons.
    """
    records = canonical(records)
    compressed = [r for r in records if r.spec.kind is TrialKind.PIPELINE and has_result(r)]
    return _points(sorted([*dense_records(records), *compressed], key=_place), convention)


def pipeline_points(records: Iterable[TrialRecord], *, convention: ParameterConvention) -> tuple[PipelinePoint, ...]:
    """Return every compressed model whose control has a result too, of all treatments."""
    rows = canonical(records)
    by_id = {r.spec.id: r for r in rows if has_result(r)}
    pairs = [
        (r, by_id[r.spec.control])
        for r in by_id.values()
        if r.spec.kind is TrialKind.PIPELINE and r.spec.control in by_id
    ]
    clusters = codes([record.spec.trajectory for record, _ in pairs])
    return tuple(
        _pipeline_point(record, control, convention, int(cluster))
        for (record, control), cluster in zip(pairs, clusters, strict=True)
    )


def _place(record: TrialRecord) -> tuple[object, ...]:
    spec = record.spec
    compute = spec.compute
    return (*_model(spec), compute.workers, compute.pool or "", compute.strategy.value, spec.id)


def _model(spec: TrialSpec) -> tuple[object, ...]:
    """Return what tells models apart, compute aside."""
    shape, counts = spec.model, spec.parameters
    size = (counts.matmul, counts.blocks, counts.total)
    architecture = (shape.family, shape.layers, shape.width, shape.heads, shape.context, shape.vocabulary)
    level = (spec.task, spec.tokens, spec.treatment.name, spec.treatment.token_noise)
    return (*size, *level, spec.pipeline.name, spec.kind.value, spec.seed, *architecture, spec.end_step)


def _weight(record: TrialRecord) -> tuple[bool, bool, int, str]:
    status = record.status
    return has_result(record), status.state.is_finished, status.attempts, record.model_dump_json()


def _points(rows: Sequence[TrialRecord], convention: ParameterConvention) -> Points:
    return Points(
        N=_column(rows, lambda r: count_parameters(r.spec.parameters, convention)),
        D=_column(rows, lambda r: r.spec.tokens),
        loss=_column(rows, loss_of),
        clusters=codes([r.spec.trajectory for r in rows]),
        steps=_column(rows, lambda r: r.spec.end_step),
        features=_features(rows),
    )


def _features(rows: Sequence[TrialRecord]) -> Mapping[str, NDArray[np.float64] | NDArray[np.str_]]:
    """Return the columns that every row has: what was measured for some trials only is left out."""
    numbers = {name: [read(r) for r in rows] for name, read in _NUMBERS.items()}
    known = {name: np.array(c, dtype=np.float64) for name, c in numbers.items() if None not in c}
    texts = {name: np.array([read(r) for r in rows], dtype=np.str_) for name, read in _TEXTS.items()}
    return {**known, **texts}


def _column(rows: Sequence[TrialRecord], read: Callable[[TrialRecord], float]) -> FloatArray:
    return np.array([read(r) for r in rows], dtype=np.float64)


def _pipeline_point(
    record: TrialRecord, control: TrialRecord, convention: ParameterConvention, cluster: int
) -> PipelinePoint:
    spec, metrics = record.spec, record.status.metrics
    return PipelinePoint(
        trial=spec.id,
        pipeline=spec.pipeline.name,
        treatment=spec.treatment.name,
        seed=spec.seed,
        N=float(count_parameters(spec.parameters, convention)),
        D=float(spec.tokens),
        cluster=cluster,
        loss=loss_of(record),
        control_loss=loss_of(control),
        penalty=loss_of(record) - loss_of(control),
        stored_bytes=_or_nan(metrics.stored_bytes),
        effective_bits=_or_nan(metrics.effective_bits),
        inference_flops=_or_nan(metrics.inference_flops),
        compressible=float(spec.parameters.blocks),
    )


def _or_nan(value: float | None) -> float:
    return float("nan") if value is None else float(value)


def _sparsity(record: TrialRecord) -> float:
    stages = (stage.operation for stage in record.spec.pipeline.stages)
    return max((op.sparsity for op in stages if isinstance(op, Prune)), default=0.0)


def _bits(record: TrialRecord) -> float:
    stages = (stage.operation for stage in record.spec.pipeline.stages)
    return min((op.weight_bits for op in stages if isinstance(op, Quantize)), default=UNQUANTIZED_BITS)


_NUMBERS: dict[str, Callable[[TrialRecord], float | None]] = {
    "C": lambda r: r.spec.cumulative_flops,
    "tokens_per_parameter": lambda r: r.spec.tokens / r.spec.parameters.matmul,
    "token_noise": lambda r: r.spec.treatment.token_noise,
    "sparsity": _sparsity,
    "bits": _bits,
    "extra_fraction": lambda r: r.spec.pipeline.extra_fraction,
    "workers": lambda r: r.spec.compute.workers,
    "layers": lambda r: r.spec.model.layers,
    "width": lambda r: r.spec.model.width,
    "context": lambda r: r.spec.model.context,
    "seed": lambda r: r.spec.seed,
    "accuracy": lambda r: r.status.metrics.accuracy,
    "effective_bits": lambda r: r.status.metrics.effective_bits,
    "stored_bytes": lambda r: r.status.metrics.stored_bytes,
    "nonzero_parameters": lambda r: r.status.metrics.nonzero_parameters,
    "inference_flops": lambda r: r.status.metrics.inference_flops,
    "loss_standard_error": lambda r: r.status.metrics.loss_standard_error,
}
_TEXTS: dict[str, Callable[[TrialRecord], str]] = {
    "treatment": lambda r: r.spec.treatment.name,
    "pipeline": lambda r: r.spec.pipeline.name,
    "strategy": lambda r: r.spec.compute.strategy.value,
    "trial": lambda r: r.spec.id,
}

FEATURE_COLUMNS = ("N", "D", *_NUMBERS, *_TEXTS)
"""Columns of the trial table that a Linear law may name."""
