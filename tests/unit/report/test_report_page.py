"""The page as a reader and a browser meet it: whole, self-contained, true to the analysis."""

import json
import re
import struct
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace

import pytest

from scaling_api.v1alpha1 import ScalingExperiment
from scaling_api.v1alpha1.status import PlanStatus
from scaling_api.v1alpha1.trial import TrialRecord
from scaling_cli.report import write_report
from scaling_cli.report.figures import NAMES
from scaling_cli.report.numbers import estimate, interval
from scaling_laws.analysis import Analysis

LOADING = {"src", "srcset", "href", "xlink:href", "data", "poster", "action", "formaction", "background", "ping"}


class Parsed(HTMLParser):
    """Elements, attributes and text of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.styles: list[str] = []
        self.scripts: list[str] = []
        self.words: list[str] = []
        self._inside = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {key: value or "" for key, value in attrs}))
        self._inside = tag

    def handle_endtag(self, tag: str) -> None:
        self._inside = ""

    def handle_data(self, data: str) -> None:
        {"style": self.styles, "script": self.scripts}.get(self._inside, self.words).append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


@pytest.fixture(scope="module")
def folder(
    experiment: ScalingExperiment,
    records: list[TrialRecord],
    analysis: Analysis,
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    folder = tmp_path_factory.mktemp("report")
    plan = PlanStatus(trials=168, points=160, training_flops=2.1e13)
    path = write_report(
        folder,
        experiment=experiment,
        records=records,
        analysis=analysis,
        plan=plan,
        wall_time_s=163.2,
        gemm_gflops=171.3,
    )
    assert path == folder / "report.html"
    return folder


@pytest.fixture(scope="module")
def page(folder: Path) -> Parsed:
    return Parsed((folder / "report.html").read_text(encoding="utf-8"))


def test_every_chart_is_written_as_picture_and_spec(folder: Path) -> None:
    for name in NAMES:
        png = (folder / "charts" / f"{name}.png").read_bytes()
        spec = json.loads((folder / "charts" / f"{name}.vl.json").read_text(encoding="utf-8"))
        width, height = struct.unpack(">II", png[16:24])
        assert png.startswith(b"\x89PNG")
        assert (width > 700, height > 500) == (True, True)
        assert "vega-lite" in spec["$schema"]
        assert spec["config"]["background"] == "#ffffff"
        assert "var(--" not in json.dumps(spec)
    assert len(list((folder / "charts").iterdir())) == 2 * len(NAMES)


def test_nothing_is_loaded_from_anywhere(page: Parsed) -> None:
    loads = [(tag, key, a[key]) for tag, a in page.elements for key in LOADING & a.keys()]
    outside = [entry for entry in loads if not entry[2].startswith(("#", "data:"))]
    assert outside == []
    assert not re.search(r"url\((?!#)|@import|image-set", " ".join(page.styles))
    policy = next(a["content"] for _, a in page.elements if a.get("http-equiv") == "Content-Security-Policy")
    assert {"default-src 'none'", "connect-src 'none'", "img-src data:"} <= set(policy.split("; "))


def test_specs_in_the_page_hold_their_data(page: Parsed) -> None:
    specs = [json.loads(s) for s in page.scripts if s.startswith("{")]
    assert len(specs) == len(NAMES)
    assert '"url"' not in json.dumps(specs)


def test_page_is_small(folder: Path) -> None:
    assert (folder / "report.html").stat().st_size < 4_000_000


def test_page_says_what_the_law_says(page: Parsed, analysis: Analysis) -> None:
    law = analysis.laws[0].law
    assert law is not None
    for c in law.coefficients:
        assert estimate(c.value, c.standard_error) in page.text
        assert interval(c.lower, c.upper) in page.text
    assert "How does the held-out loss of a byte-level language model depend on" in page.text
    for words in (
        "2 min 43 s",
        "171 GFLOP/s",
        "PyTorch 2.15.0",
        "168, of which 160 points",
        "wild-cluster bootstrap-t",
    ):
        assert words in page.text


def test_every_finding_is_in_the_verdict(page: Parsed, analysis: Analysis) -> None:
    findings = [f for entry in analysis.laws for law in entry.pipelines for f in law.findings]
    assert findings
    for finding in findings:
        assert " ".join(finding.message.split()) in page.text


def test_every_chart_has_a_text_and_a_unique_drawing(page: Parsed) -> None:
    plots = [a for _, a in page.elements if a.get("class") == "plot"]
    assert [a["id"] for a in plots] == ["loss-compute", "isoloss-map", "residuals", "predicted-observed",
                                        "coefficients", "loss-bytes", "penalties"]  # fmt: skip
    assert all(len(a["aria-label"]) > 30 for a in plots)
    ids = [a["id"] for _, a in page.elements if "id" in a]
    assert len(ids) == len(set(ids))


def test_drawings_take_their_colours_from_the_page(folder: Path) -> None:
    text = (folder / "report.html").read_text(encoding="utf-8")
    drawings = re.findall(r'<svg aria-hidden="true" .*?</svg>', text, flags=re.DOTALL)
    assert len(drawings) == len(NAMES)
    assert not re.search(r'"#[0-9a-f]{6}"', " ".join(drawings))
    used = set(re.findall(r"var\((--[a-z0-9-]+)\)", text))
    assert used <= set(re.findall(r"(--[a-z0-9-]+):", text))


def test_experiment_in_the_page_can_be_run_again(folder: Path, experiment: ScalingExperiment) -> None:
    from html import unescape

    from ruamel.yaml import YAML

    text = (folder / "report.html").read_text(encoding="utf-8")
    yaml = unescape(re.findall(r"<pre><code>(.*?)</code></pre>", text, flags=re.DOTALL)[-1])
    again = ScalingExperiment.model_validate(YAML(typ="safe", pure=True).load(yaml))
    assert again == experiment


def test_same_input_gives_the_same_page(
    folder: Path, tmp_path: Path, experiment: ScalingExperiment, records: list[TrialRecord], analysis: Analysis
) -> None:
    plan = PlanStatus(trials=168, points=160, training_flops=2.1e13)
    again = write_report(
        tmp_path / "new" / "folder",
        experiment=experiment,
        records=list(reversed(records)),
        analysis=analysis,
        plan=plan,
        wall_time_s=163.2,
        gemm_gflops=171.3,
    )
    assert again.read_bytes() == (folder / "report.html").read_bytes()


def test_importing_the_report_loads_no_plotting_library(tmp_path: Path) -> None:
    code = "import sys, scaling_cli.report; print([m for m in ('altair', 'vl_convert') if m in sys.modules])"
    roots = [str(Path(__file__).parents[3] / name) for name in ("cli", "laws", "crds")]
    env = {"PYTHONPATH": ":".join(roots), "PATH": "/usr/bin:/bin"}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60, env=env, cwd=tmp_path
    )
    assert done.stdout.strip() == "[]"


def test_a_later_report_leaves_no_chart_of_an_older_one(
    build: SimpleNamespace, experiment: ScalingExperiment, tmp_path: Path
) -> None:
    from scaling_laws.analysis import analyse

    charts = tmp_path / "charts"
    charts.mkdir()
    (charts / "penalties.png").write_bytes(b"old")
    (charts / "penalties.vl.json").write_bytes(b"old")
    (charts / "mine.png").write_bytes(b"not ours")
    records = build.sweep(widths=(16,), tokens=(500_000,), seeds=1, pipelines=())
    write_report(tmp_path, experiment=experiment, records=records, analysis=analyse(experiment.spec, records))
    assert not (charts / "penalties.png").exists()
    assert not (charts / "penalties.vl.json").exists()
    assert (charts / "mine.png").read_bytes() == b"not ours"
    assert not list(tmp_path.rglob("*.part"))
