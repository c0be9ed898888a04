"""A plan as people read it before they spend anything."""

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import TYPE_CHECKING

from scaling_cli.show.numbers import count, duration, power, some
from scaling_cli.show.tables import new_table

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table

    from scaling_api.v1alpha1.trial import TrialSpec
    from scaling_cli.planning import LocalPlan

_KINDS = {
    "Trunk": ("trunk segment", "trunk segments"), "Dense": ("dense point", "dense points"),
    "Control": ("control", "controls"), "Pipeline": ("compressed", "compressed"),
}  # fmt: skip
_SENTENCES = 5
_LEVELS = 8


def plan_blocks(local: "LocalPlan") -> "Iterator[RenderableType]":
    """Yield the plan: what it takes, its sizes and tokens, what is left out."""
    from rich.text import Text

    from scaling_cli.planning import notes_on

    yield Text.assemble((local.experiment.metadata.name, "bold"), f", {_sweep(local)}")
    yield _summary(local)
    yield _sizes(local.plan.dense)
    yield from (Text(f"Left out: {sentence}.", style="yellow") for sentence in local.plan.left_out[:_SENTENCES])
    if (more := len(local.plan.left_out) - _SENTENCES) > 0:
        yield Text(f"Left out: {some(more, 'more combination')}; see --json.", style="yellow")
    yield from (Text(sentence, style="yellow") for sentence in notes_on(local))


def _sweep(local: "LocalPlan") -> str:
    spec = local.experiment.spec
    parts = [
        f"{spec.sweep.design} design",
        some(spec.sweep.seeds, "seed"),
        some(len(spec.sweep.compression), "pipeline"),
    ]
    if len(spec.sweep.data.treatments) > 1:
        parts.append(some(len(spec.sweep.data.treatments), "treatment"))
    return ", ".join(parts)


def _summary(local: "LocalPlan") -> "Table":
    from rich.table import Table

    from scaling_cli.planning import kinds_of

    plan, took = local.plan, local.estimate
    kinds = kinds_of(plan.trials)
    shown = [some(kinds[kind], *_KINDS[kind]) for kind in _KINDS if kind in kinds]
    rows = [
        ("trials", f"{len(plan.trials):,}: {', '.join(shown)}"),
        ("training", f"{power(plan.training_flops)} FLOPs"),
        ("time", f"about {duration(took.seconds)} on {some(local.lanes, 'core')} of this machine, a thread each"),
    ]
    if took.cost is not None:
        rows.append(("cost", f"about {took.cost:,.2f}"))
    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim")
    table.add_column(overflow="fold")
    for row in rows:
        table.add_row(*row)
    return table


def _sizes(dense: "Sequence[TrialSpec]") -> "Table":
    table = new_table("N", "layers", "width", "D", "D/N", "largest C", left=("D",))
    ordered = sorted(dense, key=lambda trial: (trial.parameters.matmul, trial.model.layers, trial.tokens))
    for _, group in groupby(ordered, key=lambda trial: (trial.parameters.matmul, trial.model.layers)):
        trials = list(group)
        tokens = sorted({trial.tokens for trial in trials})
        N = trials[0].parameters.matmul
        table.add_row(
            f"{N:,}",
            str(trials[0].model.layers),
            str(trials[0].model.width),
            _levels(tokens),
            f"{tokens[0] / N:.3g}–{tokens[-1] / N:.3g}" if len(tokens) > 1 else f"{tokens[0] / N:.3g}",
            power(max(trial.cumulative_flops for trial in trials)),
        )
    return table


def _levels(tokens: Sequence[int]) -> str:
    if len(tokens) <= _LEVELS:
        return ", ".join(map(count, tokens))
    return f"{len(tokens)} levels, {count(tokens[0])} to {count(tokens[-1])}"
