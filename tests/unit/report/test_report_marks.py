"""What the report marks: cards that extrapolate, answers without an interval, the Pareto front beside pipelines."""

from types import SimpleNamespace

import pytest

from scaling_api.v1alpha1.status import Answer, FindingStatus, Interval
from scaling_cli.report.story import cards
from scaling_cli.report.tables import answers_table
from scaling_cli.report.theme import PIPELINES, ROLES

BEYOND = FindingStatus(code="ExtrapolationUntested", message="D is 22 times the largest D.")


def answer(*findings: FindingStatus) -> Answer:
    return Answer(
        question="servingMemory", at=131072, law="pillars", pipeline="int4",
        parameters=Interval(value=65100, lower=65100, upper=65100), tokens=Interval(value=2e6, lower=1e6, upper=4e6),
        loss=Interval(value=2.0, lower=1.9, upper=2.1), findings=findings,
    )  # fmt: skip


def view(*answers: Answer) -> SimpleNamespace:
    return SimpleNamespace(analysis=SimpleNamespace(answers=answers), trials=(), law=None, surface=None)


@pytest.mark.parametrize("findings", [(), (BEYOND,)])
def test_a_card_says_that_it_extrapolates(findings: tuple[FindingStatus, ...]) -> None:
    (card,) = cards(view(answer(*findings)))  # type: ignore[arg-type]
    assert card.title == "Best model in 128 KiB"
    assert card.detail.endswith("an untested extrapolation") == bool(findings)


def test_a_chosen_size_has_no_interval_and_a_fitted_one_has() -> None:
    table = answers_table(view(answer()))  # type: ignore[arg-type]
    assert table is not None
    assert [table.rows[0][4], table.rows[0][5]] == ["65.1k", "2M [1M, 4M]"]


def test_the_pareto_front_has_a_colour_of_its_own() -> None:
    assert ROLES["pareto"] not in PIPELINES
    others = [*PIPELINES, *(pair for role, pair in ROLES.items() if role not in {"pareto", "ink"})]
    for shade in (0, 1):
        own = _channels(ROLES["pareto"][shade])
        away = [sum((a - b) ** 2 for a, b in zip(own, _channels(pair[shade]), strict=True)) for pair in others]
        assert min(away) > 40**2


def _channels(colour: str) -> tuple[int, ...]:
    return tuple(int(colour[i : i + 2], 16) for i in (1, 3, 5))
