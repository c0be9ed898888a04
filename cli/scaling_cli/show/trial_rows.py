"""Trials as a table for people."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from scaling_api.v1alpha1.status import TrialState
from scaling_api.v1alpha1.trial import TrialRecord
from scaling_cli.show.numbers import count, duration, significant
from scaling_cli.show.tables import new_table

if TYPE_CHECKING:
    from rich.table import Table

STATE_STYLES = {
    TrialState.RUNNING: "cyan", TrialState.FAILED: "red", TrialState.DIVERGED: "red",
    TrialState.INTERRUPTED: "yellow", TrialState.PENDING: "dim",
}  # fmt: skip


def trial_rows(records: Sequence[TrialRecord]) -> "Table":
    """Return a row for each trial: what it is, where it stands, what came of it."""
    from rich.text import Text

    has_failures = any(record.status.failure for record in records)
    left = ("trial", "kind", "pipeline", "treatment", "state", "why")
    has_treatments = len({record.spec.treatment.name for record in records}) > 1
    names = ["trial", "kind", "N", "D", "seed", "pipeline", *(["treatment"] if has_treatments else [])]
    has_losses = any(record.status.metrics.loss is not None for record in records)
    has_times = any(record.status.timings for record in records)
    names += ["state", "attempts", *(["loss"] if has_losses else []), *(["time"] if has_times else [])]
    names += ["why"] if has_failures else []
    table = new_table(*names, left=left)
    for record in records:
        spec, status = record.spec, record.status
        table.add_row(
            spec.id,
            spec.kind.value,
            count(spec.parameters.matmul),
            count(spec.tokens),
            str(spec.seed),
            spec.pipeline.name,
            *([spec.treatment.name] if has_treatments else []),
            Text(status.state.value, style=STATE_STYLES.get(status.state, "")),
            str(status.attempts),
            *([significant(status.metrics.loss, 5)] if has_losses else []),
            *([duration(status.timings.seconds) if status.timings else "–"] if has_times else []),
            *([_why(record)] if has_failures else []),
        )
    return table


def _why(record: TrialRecord) -> str:
    failure = record.status.failure
    return "" if failure is None else f"{failure.reason}: {failure.message}"
