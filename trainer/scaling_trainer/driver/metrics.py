"""The driver's numbers, as Prometheus reads them.

The text format is https://prometheus.io/docs/instrumenting/exposition_formats/. No label names a trial, so the number
of series does not grow with the sweep.
"""

from collections.abc import Iterable, Mapping
from typing import Final

from scaling_api.driver_protocol import DriverState
from scaling_api.v1alpha1.status import TrialState

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"


def metrics_text(state: DriverState, trials: Mapping[TrialState, int], *, is_storage_usable: bool) -> str:
    """Return the driver's numbers."""
    lines: list[str] = []
    states = {f'{{state="{state_.value}"}}': float(count) for state_, count in trials.items()}
    lines += _family("scaling_driver_trials", "gauge", "Trials by state, those of earlier plans included.", states)
    lines += _family("scaling_driver_lanes", "gauge", "Lanes that are ready or at work.", {"": state.lanes})
    lines += _family("scaling_driver_rows_total", "counter", "Rows of this epoch.", {"": state.last_row})
    spent = state.spent
    lines += _family(
        "scaling_driver_training_flops_total",
        "counter",
        "Training FLOPs of all attempts since the experiment began.",
        {"": spent.training_flops},
    )
    lines += _family(
        "scaling_driver_accelerator_seconds_total",
        "counter",
        "Seconds of accelerators (cores, of pools without) that were up, at work or not.",
        {"": spent.accelerator_seconds},
    )
    if spent.cost is not None:
        lines += _family("scaling_driver_cost_total", "counter", "Cost, in the unit of hourlyPrice.", {"": spent.cost})
    usable = {"": float(is_storage_usable)}
    lines += _family("scaling_driver_storage_usable", "gauge", "1 where rows reach storage, else 0.", usable)
    return "\n".join([*lines, ""])


def _family(name: str, kind: str, meaning: str, values: Mapping[str, float]) -> Iterable[str]:
    yield f"# HELP {name} {meaning}"
    yield f"# TYPE {name} {kind}"
    for labels, value in values.items():
        yield f"{name}{labels} {float(value)!r}"
