"""The report of an experiment on a cluster, from its trials and its status alone."""

from pathlib import Path

from scaling_cli.cluster.options import ClusterOptions
from scaling_cli.cluster.results import ClusterResults, read_results
from scaling_cli.errors import CommandError
from scaling_cli.reporting import write_page
from scaling_laws.analysis import analyse


def report_on_cluster(name: str, options: ClusterOptions, *, out: Path) -> Path:
    """Fit the laws on an experiment's trials, write the report, and return its path.

    Raises:
        CommandError: there is no such experiment, no trial has a result yet, or the report can't be written.
    """
    results = read_results(name, options)
    finished = tuple(record for record in results.records if record.status.state.is_finished)
    if not finished:
        raise CommandError(f"{name}: no trial has a result yet.")
    experiment = results.experiment
    return write_page(
        out,
        experiment=experiment,
        records=finished,
        analysis=analyse(experiment.spec, finished),
        plan=results.cluster_experiment.status.plan,
        wall_time_s=_wall_time_s(results),
    )


def _wall_time_s(results: ClusterResults) -> float | None:
    status = results.cluster_experiment.status
    if status.started_at is None or status.finished_at is None:
        return None
    return max(0.0, (status.finished_at - status.started_at).total_seconds())
