"""What has been spent, beside what may be."""

from collections.abc import Iterator
from datetime import datetime
from typing import TYPE_CHECKING

from scaling_api.v1alpha1.execution import Budget
from scaling_api.v1alpha1.status import Spent
from scaling_cli.show.numbers import duration, power

if TYPE_CHECKING:
    from scaling_cli.cluster.experiments import ClusterExperiment


def spending(experiment: "ClusterExperiment", now: datetime) -> Iterator[str]:
    """Yield a clause for each thing that an experiment on a cluster has spent."""
    status, spec = experiment.status, experiment.spec
    limits = spec.budget if spec else Budget()
    yield from amounts(status.spent, limits)
    if status.started_at is not None:
        to = "so far" if status.finished_at is None else "from start to end"
        yield f"{time_since(status.started_at, status.finished_at or now, limits)} {to}"


def amounts(spent: Spent, limits: Budget) -> Iterator[str]:
    """Yield a clause for each amount that is spent: `3.1e13 of 1e14 FLOPs`."""
    yield f"{_of(power(spent.training_flops), limits.training_flops and power(limits.training_flops))} FLOPs"
    hours = spent.accelerator_seconds / 3600
    if hours or limits.accelerator_hours:
        limit = limits.accelerator_hours and f"{limits.accelerator_hours:g}"
        yield f"{_of(f'{hours:.2f}' if hours >= 0.095 else f'{hours:.2g}', limit)} accelerator-hours"
    if spent.cost is not None or limits.cost:
        yield f"cost {_of(f'{spent.cost or 0.0:,.2f}', limits.cost and f'{limits.cost:,.2f}')}"


def time_since(start: datetime, end: datetime, limits: Budget) -> str:
    """Return a time beside its limit: `2 h 5 min of 12h`."""
    return _of(duration(max(0.0, (end - start).total_seconds())), limits.wall_time)


def _of(spent: str, limit: object) -> str:
    return f"{spent} of {limit}" if limit else spent
