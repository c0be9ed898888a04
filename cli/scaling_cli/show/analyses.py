"""What a run found: laws, penalties of pipelines, answers, and what was left out."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from scaling_cli.show.answers import answer_blocks
from scaling_cli.show.laws import finding_blocks, law_blocks
from scaling_cli.show.numbers import significant
from scaling_cli.show.tables import new_table

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table

    from scaling_laws.analysis import Analysis, FittedLaw, PenaltyFit, PipelineLaw
    from scaling_laws.law import Law


def analysis_blocks(analysis: "Analysis") -> "Iterator[RenderableType]":
    """Yield what to print of an analysis."""
    from rich.text import Text

    shown: list[tuple[str, Law]] = []
    for fitted in analysis.laws:
        yield Text()
        yield from _law(fitted, shown)
    if analysis.backtests:
        yield Text("\nBack-tests", style="bold")
        yield from (Text(f"{str(test)[:1].upper()}{str(test)[1:]}.") for test in analysis.backtests)
    if analysis.answers:
        yield from answer_blocks(analysis.answers)
    if analysis.excluded:
        yield Text()
    yield from (Text(sentence, style="dim") for sentence in analysis.excluded)


def _law(fitted: "FittedLaw", shown: "list[tuple[str, Law]]") -> "Iterator[RenderableType]":
    from rich.text import Text

    title = fitted.request.name
    if fitted.law is not None:
        same = next((name for name, law in shown if law is fitted.law), None)
        if same is not None:
            yield Text.assemble((title, "bold"), f"  {fitted.request.form}: the dense law is that of {same}")
        else:
            yield from law_blocks(fitted.law, title=title)
            shown.append((title, fitted.law))
    elif fitted.refused is not None:
        yield Text.assemble((title, "bold"), f"  {fitted.request.form}")
        yield from finding_blocks([(f"refused, {fitted.refused.code}", fitted.refused.message)])
    if fitted.treatments is not None:
        yield Text("\nWhat treatments change in the dense law", style="bold")
        yield from law_blocks(fitted.treatments, title=f"{title}, all treatments")
    if fitted.pipelines:
        yield Text("\nWhat compression costs, in nats above the control", style="bold")
        yield _pipelines(fitted.pipelines)
        yield from finding_blocks((str(f.code), f.message) for p in fitted.pipelines for f in p.findings)


def _pipelines(pipelines: "Sequence[PipelineLaw]") -> "Table":
    table = new_table("pipeline", "mean", "standard error", "penalty", "missed by", left=("pipeline", "penalty"))
    for pipeline in pipelines:
        used = pipeline.used
        table.add_row(
            pipeline.pipeline,
            f"{pipeline.mean_penalty:+.4f}",
            significant(pipeline.mean_penalty_standard_error, 2),
            _formula(used),
            "–" if used.backtest_error is None else f"{used.backtest_error:.4f}",
        )
    table.caption = "missed by: mean error of the formula at the largest D, fitted without it"
    table.caption_justify, table.caption_style = "left", "dim"
    return table


def _formula(fit: "PenaltyFit") -> str:
    values = ", ".join(f"{name} {significant(value, 3)}" for name, value, _ in fit.coefficients)
    return f"{fit.formula.removeprefix('penalty = ')}\n{values}"
