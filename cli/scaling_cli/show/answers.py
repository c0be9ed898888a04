"""Answers to `ask` as tables."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from scaling_cli.show.changes import attribution_table, proposals_table
from scaling_cli.show.laws import finding_blocks
from scaling_cli.show.numbers import count, power, significant
from scaling_cli.show.tables import new_table

if TYPE_CHECKING:
    from rich.console import RenderableType

    from scaling_api.v1alpha1.status import Answer, Interval

_TITLES = {
    "trainingFlops": ("Compute-optimal training", "FLOPs"),
    "servingMemory": ("Best model for a serving memory", "memory"),
    "inferenceFlops": ("Best model for a limit of FLOPs a token", "FLOPs a token"),
    "latency": ("Best model for a limit of time a token", "seconds a token"),
    "attribute": ("What is due to what", ""),
    "nextTrials": ("Trials to add", "FLOPs"),
}
_TABLES: "Mapping[str, Callable[[str, Answer], Iterator[RenderableType]]]" = {
    "attribute": attribution_table,
    "nextTrials": proposals_table,
}
"""Of questions whose answer is a table of its own."""


def answer_blocks(answers: "Iterable[Answer]") -> "Iterator[RenderableType]":
    """Yield a table for each kind of question, then what the answers' reader must know."""
    groups: dict[str, list[Answer]] = {}
    for answer in answers:
        groups.setdefault(answer.question, []).append(answer)
    for question, group in groups.items():
        yield from _group(question, _joined(group))


def _joined(answers: "Iterable[Answer]") -> "list[tuple[str, Answer]]":
    """Return answers with the names of the laws that give them: laws that share their dense part agree."""
    names: dict[str, list[str]] = {}
    distinct: dict[str, Answer] = {}
    for answer in answers:
        content = answer.model_copy(update={"law": ""}).model_dump_json()
        names.setdefault(content, []).append(answer.law)
        distinct[content] = answer
    return [(", ".join(names[content]), answer) for content, answer in distinct.items()]


def _group(question: str, answers: "Sequence[tuple[str, Answer]]") -> "Iterator[RenderableType]":
    from rich.text import Text

    title, unit = _TITLES.get(question, (question, "at"))
    asked = _bytes if question == "servingMemory" else power
    given = [(laws, answer) for laws, answer in answers if answer.refused is None]
    yield Text(f"\n{title}", style="bold")
    if question in _TABLES:
        for laws, answer in given:
            yield from _TABLES[question](laws, answer)
    elif given:
        yield _table(unit, given, asked=asked)
    notes: dict[tuple[str, str], list[str]] = {}
    for laws, answer in answers:
        where = f"{laws}, pair {answer.at:.0f}" if question == "attribute" else f"{laws} at {asked(answer.at)}"
        if answer.refused is not None:
            notes.setdefault(("no answer", answer.refused), []).append(where)
        for finding in answer.findings:
            notes.setdefault((finding.code, finding.message), []).append(where)
    yield from finding_blocks((code, f"{'; '.join(where)}: {text}") for (code, text), where in notes.items())


def _table(unit: str, answers: "Sequence[tuple[str, Answer]]", *, asked: Callable[[float], str]) -> "RenderableType":
    has_pipeline = any(answer.pipeline is not None for _, answer in answers)
    names = ["law", unit, *(["pipeline"] if has_pipeline else []), "N", "D", "D/N", "loss"]
    table = new_table(*names, left=("law", "pipeline"))
    for laws, answer in answers:
        cells = [laws.replace(", ", ",\n"), asked(answer.at), *([answer.pipeline or "–"] if has_pipeline else [])]
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
    if interval.lower is None or interval.upper is None or interval.lower == interval.upper:
        return shown(interval.value)
    return f"{shown(interval.value)}\n[{shown(interval.lower)}, {shown(interval.upper)}]"


def _bytes(number: float) -> str:
    for unit, suffix in ((2**40, "TiB"), (2**30, "GiB"), (2**20, "MiB"), (2**10, "KiB")):
        if number >= unit:
            return f"{number / unit:.3g} {suffix}"
    return f"{number:.0f} B"
