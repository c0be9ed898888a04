"""The parts that decide what a reader sees: numbers, colours, ticks, the frontier, the Pareto front, markup."""

from math import inf, log10, nan
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scaling_api.v1alpha1.status import Answer
from scaling_api.v1alpha1.trial import TrialRecord
from scaling_cli.report import numbers, theme
from scaling_cli.report.axes import log_ticks
from scaling_cli.report.evidence import evenly, pareto_front
from scaling_cli.report.markup import Html, json_text, raw_text, tag
from scaling_cli.report.surface import DenseLaw, compute_of, dense_law, frontier
from scaling_laws.analysis import Analysis


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        (numbers.count(10_240), "10.2k"),
        (numbers.count(999_950), "1M"),
        (numbers.count(7.3e10), "73G"),
        (numbers.count(0.5), "0.5"),
        (numbers.count(nan), "–"),
        (numbers.count(None), "–"),
        (numbers.flops(1.74e12), "1.7e12"),
        (numbers.flops(1e18), "1e18"),
        (numbers.flops(0), "0"),
        (numbers.size(65_536), "64 KiB"),
        (numbers.size(900), "900 B"),
        (numbers.duration(170.2), "2 min 50 s"),
        (numbers.duration(3.21), "3.2 s"),
        (numbers.duration(7384), "2 h 3 min"),
        (numbers.estimate(0.41739, 0.0213), "0.417"),
        (numbers.estimate(1012.3, 420), "1012"),
        (numbers.estimate(1.5, None), "1.5"),
        (numbers.estimate(inf, 0.1), "–"),
        (numbers.uncertain(0.0949, 0.00851), "0.0949 ± 0.0085"),
        (numbers.interval(0.332, 0.505), "[0.332, 0.505]"),
        (numbers.interval(0.3, None), "[0.3, –]"),
        (numbers.interval(None, None), "–"),
        (numbers.significant(1234567.0), "1.235e6"),
        (numbers.significant(12345.0), "12345"),
        (numbers.span([10_240, 115_200]), "10.2k–115k"),
        (numbers.plural(1, "point"), "1 point"),
        (numbers.plural(2400, "point"), "2,400 points"),
    ],
)
def test_numbers_read_well(written: str, expected: str) -> None:
    assert written == expected


def luminance(colour: str) -> float:
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return float(np.dot((0.2126, 0.7152, 0.0722), linear))


def contrast(one: str, other: str) -> float:
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("mode", [0, 1], ids=["light", "dark"])
def test_colours_stand_out_from_the_background(mode: int) -> None:
    surface = theme.ROLES["surface"][mode]
    assert min(contrast(theme.ROLES[role][mode], surface) for role in ("ink", "muted")) >= 4.5
    marks = [theme.ROLES[role][mode] for role in ("frontier", "above", "below", "terrain")]
    marks += [pair[mode] for pair in theme.PIPELINES]
    marks += [pair[mode] for pair in theme.size_scale([str(i) for i in range(12)]).colours]
    assert min(contrast(colour, surface) for colour in marks) >= 3


def test_each_colour_means_one_thing() -> None:
    scales = (theme.size_scale([str(i) for i in range(64)]), theme.pipeline_scale([str(i) for i in range(8)]))
    lights = [pair[0] for pair in theme.ROLES.values()] + [c for scale in scales for c in scale.range]
    assert len(lights) == len(set(lights))


def test_colours_become_variables_and_texts_stay() -> None:
    scale = theme.size_scale(["1k"])
    text = f'fill="{theme.light("ink")}" stroke="{scale.range[0]}" color="#123456" title="in {theme.light("ink")} ink"'
    said = theme.as_variables(text, [scale])
    assert said == f'fill="var(--ink)" stroke="var(--size-0)" color="#123456" title="in {theme.light("ink")} ink"'


@given(low=st.floats(1e-3, 1e25), factor=st.floats(1.001, 1e12))
def test_log_ticks_are_few_round_and_inside(low: float, factor: float) -> None:
    ticks = log_ticks(low, low * factor)
    assert 2 <= len(ticks) <= 12
    assert all(low * (1 - 1e-9) <= t <= low * factor * (1 + 1e-9) for t in ticks)
    assert ticks == sorted(set(ticks))


@given(st.lists(st.tuples(st.integers(1, 9), st.integers(1, 9)), max_size=30))
def test_pareto_front_is_what_nothing_beats(costs: list[tuple[int, int]]) -> None:
    front = {costs[i] for i in pareto_front(costs)}
    unbeaten = {c for c in costs if not any(o != c and o[0] <= c[0] and o[1] <= c[1] for o in costs)}
    assert front == unbeaten


@given(st.lists(st.integers()), st.integers(2, 10))
def test_evenly_keeps_both_ends(rows: list[int], limit: int) -> None:
    kept = evenly(rows, limit)
    assert len(kept) == min(limit, len(rows))
    assert kept[:1] + kept[-1:] == rows[:1] + rows[-1:]


def law_of(analysis: Analysis) -> DenseLaw:
    law = dense_law(analysis.laws[0].law)
    assert law is not None
    return law


def test_frontier_passes_through_the_answers(analysis: Analysis) -> None:
    answer: Answer = analysis.answers[0]
    assert answer.parameters is not None
    assert answer.loss is not None
    assert answer.loss.lower is not None
    assert answer.loss.upper is not None
    compute = compute_of(analysis.dense)
    assert compute is not None
    best = frontier(law_of(analysis), compute, (answer.at / 10, answer.at * 10))
    assert best is not None
    assert best.lower is not None
    assert best.upper is not None
    at = [float(np.interp(log10(answer.at), np.log10(best.C), y)) for y in (best.N, best.loss, best.lower, best.upper)]
    expected = [answer.parameters.value, answer.loss.value, answer.loss.lower, answer.loss.upper]
    assert at == pytest.approx(expected, rel=0.01)


def test_isoloss_lines_hold_the_loss(analysis: Analysis) -> None:
    law = law_of(analysis)
    N = np.array([20_000.0, 100_000.0])
    assert law.loss(N, law.tokens_for(2.6, N)) == pytest.approx([2.6, 2.6])
    assert law.loss(law.parameters_for(2.6, N * 50), N * 50) == pytest.approx([2.6, 2.6])
    assert np.isnan(law.tokens_for(0.1, N)).all()


def test_law_of_no_points_has_no_compute(build: SimpleNamespace, records: list[TrialRecord]) -> None:
    from scaling_laws.analysis import analyse

    empty = analyse(build.experiment().spec, [])
    assert compute_of(empty.dense) is None
    assert dense_law(empty.laws[0].law) is None


def test_markup_escapes_all_but_its_own() -> None:
    assert tag("p", "<b>&", Html("<i>"), class_='a"b') == '<p class="a&quot;b">&lt;b&gt;&amp;<i></p>'
    assert tag("td", None, hidden=True, title=None) == "<td hidden></td>"
    assert "<" not in json_text('{"a": "</script>"}')
    with pytest.raises(ValueError, match="end tag"):
        raw_text("script", "x = '</SCRIPT>'")
