"""What has been spent, beside what may be."""

from collections.abc import Iterator
from datetime import datetime

from scaling_api.v1alpha1.execution import Budget
from scaling_cli.cluster.experiments import ClusterExperiment
from scaling_cli.show.numbers import duration, power


def spending(experiment: ClusterExperiment, now: datetime) -> Iterator[str]:
    """Yield a clause for each thing that is spent: `3.1e13 of 1e14 FLOPs`."""
    status, spec = experiment.status, experiment.spec
    spent, limits = status.spent, spec.budget if spec else Budget()
    yield f"{_of(power(spent.training_flops), limits.training_flops and power(limits.training_flops))} FLOPs"
    hours = spent.accelerator_seconds / 3600
    if hours or limits.accelerator_hours:
        limit = limits.accelerator_hours and f"{limits.accelerator_hours:g}"
        yield f"{_of(f'{hours:.2f}', limit)} accelerator-hours"
    if spent.cost is not None or limits.cost:
        yield f"cost {_of(f'{spent.cost or 0.0:,.2f}', limits.cost and f'{limits.cost:,.2f}')}"
    if status.started_at is not None:
        took = duration(max(0.0, ((status.finished_at or now) - status.started_at).total_seconds()))
        to = "so far" if status.finished_at is None else "from start to end"
        yield f"{_of(took, limits.wall_time)} {to}"


def _of(spent: str, limit: object) -> str:
    return f"{spent} of {limit}" if limit else spent
