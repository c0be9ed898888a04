"""Answers to `ask` as tables."""

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from scaling_cli.show.numbers import count, power, significant
from scaling_cli.show.tables import new_table

if TYPE_CHECKING:
    from rich.console import RenderableType

    from scaling_api.v1alpha1.status import Answer, Interval

_TITLES = {
    "trainingFlops": ("Compute-optimal training", "FLOPs"),
    "servingMemory": ("Best model for a serving memory", "memory"),
}


def answer_blocks(answers: "Sequence[Answer]") -> "Iterator[RenderableType]":
    """Yield a table for each kind of question, and a line for each answer that was refused or has findings."""
    for question in dict.fromkeys(answer.question for answer in answers):
        group = [answer for answer in answers if answer.question == question]
        yield from _group(question, group)


def _group(question: str, answers: "Sequence[Answer]") -> "Iterator[RenderableType]":
    from rich.text import Text

    title, unit = _TITLES.get(question, (question, "at"))
    given = [answer for answer in answers if answer.refused is None]
    yield Text(title, style="bold")
    if given:
        yield _table(unit, given, asked=_bytes if question == "servingMemory" else power)
    notes: dict[str, list[str]] = {}
    for answer in answers:
        asked = f"{answer.law}, {_bytes(answer.at) if question == 'servingMemory' else power(answer.at)}"
        if answer.refused is not None:
            notes.setdefault(f"no answer: {answer.refused}", []).append(asked)
        for finding in answer.findings:
            notes.setdefault(f"{finding.code}: {finding.message}", []).append(asked)
    for note, asked_by in notes.items():
        yield Text.assemble((f"{'; '.join(asked_by)}: ", "dim"), (note, "yellow"))


def _table(unit: str, answers: "Sequence[Answer]", *, asked: Callable[[float], str]) -> "RenderableType":
    has_pipeline = any(answer.pipeline is not None for answer in answers)
    names = ["law", unit, *(["pipeline"] if has_pipeline else []), "N", "D", "D/N", "loss"]
    table = new_table(*names, left=("law", "pipeline"))
    for answer in answers:
        cells = [answer.law, asked(answer.at), *([answer.pipeline or "–"] if has_pipeline else [])]
        table.add_row(
            *cells,
            _interval(answer.parameters, count),
            _interval(answer.tokens, count),
            _interval(answer.tokens_per_parameter, lambda ratio: significant(ratio, 3)),
            _interval(answer.loss, lambda loss: significant(loss, 4)),
        )
    return table


def _interval(interval: "Interval | None", shown: Callable[[float], str]) -> str:
    if interval is None:
        return "–"
    if interval.lower is None or interval.upper is None:
        return shown(interval.value)
    return f"{shown(interval.value)}\n[{shown(interval.lower)}, {shown(interval.upper)}]"


def _bytes(number: float) -> str:
    for unit, suffix in ((2**40, "TiB"), (2**30, "GiB"), (2**20, "MiB"), (2**10, "KiB")):
        if number >= unit:
            return f"{number / unit:.3g} {suffix}"
    return f"{number:.0f} B"
