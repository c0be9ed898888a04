"""A list of experiments."""

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from scaling_cli.cluster.experiments import ClusterExperiment
from scaling_cli.cluster.standing import standing_of
from scaling_cli.show.numbers import power, significant
from scaling_cli.show.tables import new_table
from scaling_cli.show.times import short_ago

if TYPE_CHECKING:
    from rich.table import Table


def experiment_table(experiments: Sequence[ClusterExperiment], *, with_namespace: bool, now: datetime) -> "Table":
    """Return a row for each experiment: where it stands, trials, best loss, what it has spent, age."""
    from rich.text import Text

    names = (*(("namespace",) if with_namespace else ()), "name", "status")
    table = new_table(*names, "trials", "failed", "best loss", "FLOPs", "age", left=names)
    for experiment in sorted(experiments, key=lambda e: (e.namespace, e.name)):
        status, standing = experiment.status, standing_of(experiment)
        counts = status.trials
        table.add_row(
            *((experiment.namespace,) if with_namespace else ()),
            experiment.name,
            Text(standing.word, style=standing.style),
            f"{experiment.finished:,}/{status.plan.trials:,}" if status.plan else "–",
            f"{counts.failed + counts.diverged:,}",
            significant(status.best_loss, 4),
            power(status.spent.training_flops),
            short_ago(experiment.created, now),
        )
    return table
