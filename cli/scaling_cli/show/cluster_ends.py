"""How an experiment on a cluster ended."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from scaling_cli.cluster.experiments import ClusterExperiment
from scaling_cli.cluster.options import ClusterOptions
from scaling_cli.cluster.standing import exit_code_of, standing_of
from scaling_cli.errors import ExitCode
from scaling_cli.show.answers import answer_blocks
from scaling_cli.show.law_statuses import law_status_blocks
from scaling_cli.show.numbers import power, some
from scaling_cli.show.spending import spending

if TYPE_CHECKING:
    from rich.console import RenderableType


def end_blocks(experiment: ClusterExperiment) -> "Iterator[RenderableType]":
    """Yield what to print when the waiting is over: where it stands, what it took, laws, answers."""
    from rich.text import Text

    status, standing = experiment.status, standing_of(experiment)
    yield Text.assemble((experiment.name, "bold"), "  ", (standing.word, standing.style), f"  {standing.why}")
    if status.plan is not None:
        yield Text(
            f"{experiment.finished:,} of {some(status.plan.trials, 'trial')} are finished. Spent: {_spent(experiment)}."
        )
    if standing.word == "Suspended" and status.plan is not None:
        yield Text(f"The whole plan takes {power(status.plan.training_flops)} FLOPs{_price(experiment)}.")
    yield from law_status_blocks(status.laws)
    yield from answer_blocks(status.answers)


def _spent(experiment: ClusterExperiment) -> str:
    return ", ".join(spending(experiment, datetime.now(UTC)))


def _price(experiment: ClusterExperiment) -> str:
    plan = experiment.status.plan
    assert plan is not None
    hours = f", about {plan.accelerator_hours:.3g} accelerator-hours" if plan.accelerator_hours else ""
    return f"{hours}, cost about {plan.cost:,.2f}" if plan.cost else hours


def last_words(experiment: ClusterExperiment, options: ClusterOptions) -> str:
    """Return one paragraph on what is missing, and what to do."""
    name, status = experiment.name, experiment.status
    code = exit_code_of(experiment)
    if code is ExitCode.USER_ERROR:
        return f"{name} is not accepted. {standing_of(experiment).why}"
    if code is ExitCode.LAW_REFUSED:
        refused = [law for law in status.laws if law.refused]
        reasons = " ".join(f"{law.name}: {law.refused}" for law in refused)
        return f"{some(len(refused), 'law was', 'laws were')} refused. {reasons}"
    total = status.plan.trials if status.plan else 0
    counts = status.trials
    missing = {"failed": counts.failed, "diverged": counts.diverged, "not run": total - experiment.finished}
    kinds = ", ".join(f"{number:,} {word}" for word, number in missing.items() if number)
    see = options.command("trials", name, "--failed")
    why = standing_of(experiment).why
    head = f"{why} " if standing_of(experiment).word in {"Failed", "Budget spent"} else ""
    return f"{head}{total - counts.succeeded:,} of {some(total, 'trial')} have no result ({kinds}). See: {see}"
