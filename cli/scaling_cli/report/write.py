"""Write the report of an experiment: one page, and its charts as pictures and specs."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path

from scaling_api.v1alpha1 import ScalingExperiment
from scaling_api.v1alpha1.status import PlanStatus
from scaling_api.v1alpha1.trial import TrialRecord
from scaling_cli.report.figures import NAMES, figures
from scaling_cli.report.html import page
from scaling_cli.report.render import Rendered, pictures_missing, render, script_bundle
from scaling_cli.report.view import Measured, ReportView
from scaling_laws.analysis import Analysis

REPORT = "report.html"
CHARTS = "charts"
_SUFFIXES = (".png", ".vl.json")


def write_report(
    folder: Path,
    *,
    experiment: ScalingExperiment,
    records: Sequence[TrialRecord],
    analysis: Analysis,
    plan: PlanStatus | None = None,
    wall_time_s: float | None = None,
    gemm_gflops: float | None = None,
    remark: Callable[[str], None] = lambda _: None,
) -> Path:
    """Write `report.html` and `charts/` into a folder and return the page's path.

    The page needs no other file and no network. An older report in the folder is replaced, each file at once.

    Args:
        folder: where to; made if it is not there.
        experiment: the question.
        records: of any kind and state.
        analysis: what was fitted on them; laws may be refused.
        plan: what the sweep was to take.
        wall_time_s: what it took, in seconds.
        gemm_gflops: speed of matrix multiplication measured beside it, in GFLOP/s.
        remark: called with a sentence on pictures that are missing.

    Raises:
        OSError: the folder cannot be written to.
    """
    view = ReportView(experiment, records, analysis, Measured(plan, wall_time_s, gemm_gflops))
    scales = (view.sizes, view.pipelines)
    drawn = render(figures(view), scales)
    if missing := pictures_missing(drawn):
        remark(missing)
    bundle = script_bundle() if any(r.spec for r in drawn) else ""
    _write_charts(folder / CHARTS, drawn)
    path = folder / REPORT
    _replace(path, page(view, drawn, scales=scales, bundle=bundle).encode())
    return path


def _write_charts(folder: Path, drawn: Sequence[Rendered]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    there = [r for r in drawn if r.spec is not None]
    for r in there:
        _replace_picture(folder / f"{r.figure.name}.png", r.png)
        _replace(folder / f"{r.figure.name}.vl.json", json.dumps(r.spec, indent=1, ensure_ascii=False).encode())
    for name in set(NAMES) - {r.figure.name for r in there}:  # a chart of an older report that this one lacks
        for suffix in _SUFFIXES:
            (folder / f"{name}{suffix}").unlink(missing_ok=True)


def _replace_picture(path: Path, png: bytes) -> None:
    if png:
        _replace(path, png)
    else:
        path.unlink(missing_ok=True)


def _replace(path: Path, content: bytes) -> None:
    """Write a file whole or not at all."""
    part = path.with_name(f".{path.name}.part")
    try:
        part.write_bytes(content)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
