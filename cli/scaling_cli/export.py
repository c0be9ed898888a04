"""The trials of a results folder as one flat table, whose refit gives the same coefficients."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import IO, TypeAlias

from scaling_api.v1alpha1.base import ApiModel
from scaling_api.v1alpha1.laws import ParameterConvention
from scaling_api.v1alpha1.trial import TrialRecord
from scaling_laws.records import canonical, dense_records, table_from_records

Cell: TypeAlias = str | int | float | bool | None
DENSE, TABLE, NEITHER = "dense", "table", ""
"""Which fits use a row: every law, linear laws of all models, or none."""


@dataclass(frozen=True)
class TrialTable:
    """Rows of cells under their columns' names, in an order that depends on the trials alone."""

    header: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]


def trial_table(records: Iterable[TrialRecord], *, treatment: str) -> TrialTable:
    """Return every finished trial as a row.

    Args:
        records: of one experiment.
        treatment: the data-quality level that dense laws are fitted on.
    """
    ordered = canonical(records)
    fitted = {record.spec.id for record in dense_records(ordered, treatment=treatment)}
    features = _features(ordered)
    names = [name for name in next(iter(features.values()), {}) if name not in _COLUMNS]
    rows = tuple(
        (
            *(read(record) for read in _COLUMNS.values()),
            DENSE if record.spec.id in fitted else TABLE if record.spec.id in features else NEITHER,
            *(features.get(record.spec.id, {}).get(name) for name in names),
        )
        for record in ordered
    )
    return TrialTable((*_COLUMNS, "used_in", *names), rows)


def _features(records: Sequence[TrialRecord]) -> dict[str, Mapping[str, Cell]]:
    """Return the features of every measured model by its trial's id, as linear laws see them."""
    columns = table_from_records(records, convention=ParameterConvention.MATMUL).features
    lists = {name: column.tolist() for name, column in columns.items()}
    ids = lists.get("trial", [])
    return {str(id_): {name: cells[row] for name, cells in lists.items()} for row, id_ in enumerate(ids)}


def write_csv(table: TrialTable, stream: IO[str]) -> None:
    """Write CSV; floats as the shortest text that reads back to the same number."""
    import csv

    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(table.header)
    writer.writerows(table.rows)


def write_json(table: TrialTable, stream: IO[str]) -> None:
    """Write a JSON list of one object a trial, a line each."""
    import json

    lines = (json.dumps(dict(zip(table.header, row, strict=True)), allow_nan=False) for row in table.rows)
    stream.write("[\n" + ",\n".join(lines) + "\n]\n")


def write_parquet(table: TrialTable, stream: IO[bytes]) -> None:
    """Write Parquet."""
    import pyarrow
    import pyarrow.parquet

    columns = zip(*table.rows, strict=True) if table.rows else [[] for _ in table.header]
    arrays = dict(zip(table.header, map(list, columns), strict=True))
    pyarrow.parquet.write_table(pyarrow.table(arrays), stream)


def _of(part: ApiModel | None, name: str) -> Cell:
    cell: Cell = None if part is None else getattr(part, name)
    return cell


_COLUMNS: dict[str, Callable[[TrialRecord], Cell]] = {
    "trial": lambda r: r.spec.id,
    "kind": lambda r: r.spec.kind.value,
    "state": lambda r: r.status.state.value,
    "N_matmul": lambda r: r.spec.parameters.matmul,
    "N_blocks": lambda r: r.spec.parameters.blocks,
    "N_total": lambda r: r.spec.parameters.total,
    "D": lambda r: r.spec.tokens,
    "C": lambda r: r.spec.cumulative_flops,
    "steps": lambda r: r.spec.end_step,
    "loss": lambda r: r.status.metrics.loss,
    "loss_standard_error": lambda r: r.status.metrics.loss_standard_error,
    "bits_per_byte": lambda r: r.status.metrics.bits_per_byte,
    "accuracy": lambda r: r.status.metrics.accuracy,
    "training_loss": lambda r: r.status.metrics.training_loss,
    "treatment": lambda r: r.spec.treatment.name,
    "token_noise": lambda r: r.spec.treatment.token_noise,
    "pipeline": lambda r: r.spec.pipeline.name,
    "seed": lambda r: r.spec.seed,
    "workers": lambda r: r.spec.compute.workers,
    "strategy": lambda r: r.spec.compute.strategy.value,
    "layers": lambda r: r.spec.model.layers,
    "width": lambda r: r.spec.model.width,
    "context": lambda r: r.spec.model.context,
    "trajectory": lambda r: r.spec.trajectory,
    "control": lambda r: r.spec.control,
    "nonzero_parameters": lambda r: r.status.metrics.nonzero_parameters,
    "effective_bits": lambda r: r.status.metrics.effective_bits,
    "stored_bytes": lambda r: r.status.metrics.stored_bytes,
    "inference_flops": lambda r: r.status.metrics.inference_flops,
    "trial_flops": lambda r: r.spec.flops,
    "attempts": lambda r: r.status.attempts,
    "seconds": lambda r: _of(r.status.timings, "seconds"),
    "training_seconds": lambda r: _of(r.status.timings, "training_seconds"),
    "tokens_per_second": lambda r: _of(r.status.timings, "tokens_per_second"),
    "device": lambda r: _of(r.status.environment, "device"),
    "threads": lambda r: _of(r.status.environment, "threads"),
    "torch": lambda r: _of(r.status.environment, "torch"),
    "failure": lambda r: _of(r.status.failure, "reason"),
}
