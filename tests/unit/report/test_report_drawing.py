"""Charts of numbers of any size: they draw, and a rasteriser that dies costs its pictures alone."""

import dataclasses
import json
import re
import subprocess
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from scaling_api.v1alpha1 import ScalingExperiment
from scaling_api.v1alpha1.status import Interval
from scaling_api.v1alpha1.trial import TrialRecord
from scaling_cli.report import rasteriser, surface, write_report
from scaling_cli.report.axes import Axis, Plane, linear_extent
from scaling_cli.report.chart_coefficients import forest
from scaling_cli.report.figures import figures
from scaling_cli.report.render import render
from scaling_cli.report.surface import Compute, DenseLaw, Frontier, Span
from scaling_cli.report.view import Measured, ReportView
from scaling_laws.analysis import Analysis

MAGNITUDES = st.floats(-300, 300).map(lambda power: 10.0**power)
ENDS = st.tuples(MAGNITUDES, st.sampled_from((-1.0, 1.0))).map(lambda pair: pair[0] * pair[1])
INTERVALS = st.tuples(ENDS, ENDS).map(lambda ends: (min(ends), max(ends)))
PIXELS = re.compile(r"(?<![\w#.])-?\d+(?:\.\d+)?(?:e[+-]?\d+)?(?![\w.])")


def stretched(analysis: Analysis, interval: tuple[float, float]) -> Analysis:
    """Return the analysis with every interval of coefficients and answers as wide as that."""
    low, high = interval
    first, *rest = analysis.laws
    assert first.law is not None
    wide = tuple(dataclasses.replace(c, lower=low, upper=high) for c in first.law.coefficients)
    answers = [
        a.model_copy(update={"loss": Interval(value=a.loss.value, lower=low, upper=high)} if a.loss else {})
        for a in analysis.answers
    ]
    law = dataclasses.replace(first, law=dataclasses.replace(first.law, coefficients=wide))
    return dataclasses.replace(analysis, laws=(law, *rest), answers=tuple(answers))


@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(interval=INTERVALS, points=st.integers(1, 60))
def test_intervals_of_any_size_draw(
    monkeypatch: pytest.MonkeyPatch,
    experiment: ScalingExperiment,
    records: list[TrialRecord],
    analysis: Analysis,
    interval: tuple[float, float],
    points: int,
) -> None:
    def wide_band(law: DenseLaw, compute: Compute, span: Span) -> Frontier | None:
        best = surface.frontier(law, compute, span)
        assert best is not None
        low, high = (np.where(np.arange(len(best.C)) < points, end, best.loss) for end in interval)
        return dataclasses.replace(best, lower=np.minimum(low, best.loss), upper=np.maximum(high, best.loss))

    with monkeypatch.context() as patched:
        patched.setattr("scaling_cli.report.charts_dense.frontier", wide_band)
        view = ReportView(experiment, records, stretched(analysis, interval), Measured(None, None, None))
        with_intervals = [f for f in figures(view) if f.name in {"loss-compute", "coefficients"}]
        drawn = render(with_intervals, (view.sizes, view.pipelines))
    assert len(drawn) == 2
    for r in drawn:
        assert r.png.startswith(b"\x89PNG"), r.figure.name
        paths = " ".join(re.findall(r'\b(?:d|transform|x2?|y2?)="([^"]*)"', r.svg))
        assert max(abs(float(n)) for n in PIXELS.findall(paths)) < 20_000, r.figure.name
        assert not re.search(r"NaN|Infinity", r.svg + json.dumps(r.spec)), r.figure.name


@given(
    value=st.floats(allow_nan=False, allow_infinity=False), limits=st.tuples(ENDS, ENDS).filter(lambda e: e[0] != e[1])
)
def test_what_is_held_is_within_one_length_of_the_axis(value: float, limits: tuple[float, float]) -> None:
    low, high = linear_extent(limits)
    axis = Axis("y", "", (low, high), "nats")
    held = axis.held(value)
    assert axis.holds(held)
    assert held == value or not axis.holds(value)
    if not axis.is_logarithmic:
        assert low - (high - low) <= held <= high + (high - low)


def test_rows_outside_are_dropped_and_their_limits_are_held() -> None:
    plane = Plane(Axis("x", "", (1.0, 100.0), "flops"), Axis("y", "", (2.0, 3.0), "nats"))
    rows = [{"x": 10.0, "y": y, "low": -1e300, "high": 1e300} for y in (2.5, 3.4, 1e6)]
    rows.append({"x": 1e9, "y": 2.5, "low": 2.4, "high": 2.6})
    assert [row["y"] for row in plane.held(rows)] == [2.5, 3.4]
    assert [(row["low"], row["high"]) for row in plane.held(rows, along=("low", "high"))] == [(1.5, 3.5)] * 3


DYING = """
import json, os, sys
for name, svg in json.load(sys.stdin.buffer).items():
    os.abort() if svg == "bad" else print(json.dumps((name, "UE5H")), flush=True)
"""


def test_a_rasteriser_that_dies_costs_one_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    run = subprocess.run

    def dying(command: list[str], **how: object) -> object:
        return run([command[0], "-c", DYING], **how)  # type: ignore[call-overload]

    monkeypatch.setattr(rasteriser.subprocess, "run", dying)
    svgs = {"a": "good", "b": "bad", "c": "good", "d": "bad"}
    assert rasteriser.rasterise(svgs) == {"a": b"PNG", "c": b"PNG"}


def test_without_a_rasteriser_the_report_is_there_and_says_so(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    experiment: ScalingExperiment,
    records: list[TrialRecord],
    analysis: Analysis,
) -> None:
    said: list[str] = []
    old = tmp_path / "charts" / "residuals.png"
    old.parent.mkdir()
    old.write_bytes(b"of an older report")
    monkeypatch.setattr("sys.executable", "/nowhere/python")
    path = write_report(tmp_path, experiment=experiment, records=records, analysis=analysis, remark=said.append)
    assert [s.partition(", ")[0] for s in said] == [
        "PNGs are missing in charts/: the rasteriser failed on loss-compute"
    ]
    page = path.read_text()
    assert said[0] in page
    assert page.count("<figure") == 7
    assert not list(tmp_path.glob("charts/*.png"))
    assert len(list(tmp_path.glob("charts/*.vl.json"))) == 7


def test_coefficients_of_any_size_have_short_labels(analysis: Analysis) -> None:
    law = stretched(analysis, (-1e300, 1e300)).laws[0].law
    assert law is not None
    labels = re.findall(r">([^<]{25,})</text>", _svg_of(forest(law).to_dict()))
    assert [label for label in labels if "=" not in label] == []


def _svg_of(spec: dict[str, object]) -> str:
    import vl_convert

    return str(vl_convert.vegalite_to_svg(spec, show_warnings=False))
