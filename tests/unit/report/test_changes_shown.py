"""What is due to what and trials to add, on the terminal and in the report."""

import io
from types import SimpleNamespace

import pytest
from rich.console import Console

from scaling_api.v1alpha1.status import Answer
from scaling_api.v1alpha1.trial import TrialRecord
from scaling_cli.report.tables import answers_table
from scaling_cli.report.tables_changes import change_tables
from scaling_cli.show.answers import answer_blocks
from scaling_laws.analysis import analyse

SMALL = {"parameters": "15k", "tokens": "0.6M", "pipeline": "int4"}
LARGE = {"parameters": "100k", "tokens": "1.9M"}


@pytest.fixture
def answers(build: SimpleNamespace, records: list[TrialRecord]) -> tuple[Answer, ...]:
    pairs = [{"from": SMALL, "to": LARGE}, {"from": {**SMALL, "treatment": "noisy"}, "to": SMALL}]
    laws = [{"name": "pillars", "form": "Joint", "bootstrap": 200}]
    spec = build.experiment(laws=laws, ask={"attribute": pairs, "nextTrials": [1e13]}).spec
    return analyse(spec, records).answers


def shown(answers: tuple[Answer, ...]) -> str:
    console = Console(width=80, file=io.StringIO(), no_color=True)
    for block in answer_blocks(answers):
        console.print(block)
    assert isinstance(console.file, io.StringIO)
    return " ".join(console.file.getvalue().split())


def test_the_terminal_shows_parts_costs_and_widths(answers: tuple[Answer, ...]) -> None:
    text = shown(answers)
    assert "What is due to what" in text
    assert "N 1.5e+04, D 6e+05, pipeline int4 to N 1e+05, D 1.9e+06, pipeline dense" in text
    assert all(f"{part.name} {part.value:+.4f}" in text for part in answers[0].parts)
    assert "no answer pillars, pair 2: The models differ in treatment" in text
    assert "trials that shrink the interval of L(" in text
    assert text.count("±") == 1 + len(answers[2].proposals)


def test_the_report_has_a_table_for_each_and_names_what_was_refused(answers: tuple[Answer, ...]) -> None:
    view = SimpleNamespace(analysis=SimpleNamespace(answers=answers))
    attributed, proposed = change_tables(view)  # type: ignore[arg-type]
    assert [row[0] for row in attributed.rows] == [
        "parameters", "tokens", "pipeline", "together", "of which interaction",
    ]  # fmt: skip
    assert len(proposed.rows) == len(answers[2].proposals)
    assert "known to ±" in proposed.notes[0]
    refused = answers_table(view)  # type: ignore[arg-type]
    assert refused is not None
    assert [(row[0], row[-1][:17]) for row in refused.rows] == [("pair 2", "The models differ")]
