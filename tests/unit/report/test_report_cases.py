"""Sweeps that are small, odd or hostile: the report still stands and says why something is missing."""

import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from scaling_api.v1alpha1 import ScalingExperiment
from scaling_api.v1alpha1.laws import LawRequest
from scaling_api.v1alpha1.status import Answer, FindingStatus, TrialState
from scaling_api.v1alpha1.trial import Failure, TrialKind, TrialRecord
from scaling_cli.report import write_report
from scaling_laws.analysis import Analysis, FittedLaw, analyse
from scaling_laws.law import Finding, FindingCode
from scaling_laws.points import Points


def written(folder: Path, experiment: ScalingExperiment, records: list[TrialRecord], analysis: Analysis | None = None,
            **more: Any) -> str:  # fmt: skip
    analysis = analysis or analyse(experiment.spec, records)
    path = write_report(folder, experiment=experiment, records=records, analysis=analysis, **more)
    return path.read_text(encoding="utf-8")


def charts_in(page: str) -> set[str]:
    return set(re.findall(r'class="plot" id="([a-z-]+)"', page))


def verdict_of(page: str) -> str:
    return re.findall(r'class="verdict (\w+)"', page)[0]


def test_nothing_finished_yet(tmp_path: Path, experiment: ScalingExperiment) -> None:
    page = written(tmp_path, experiment, [])
    assert verdict_of(page) == "note"
    assert "No results yet" in page
    assert charts_in(page) == set()
    assert "No dense trial has finished with a loss yet." in page
    assert len(page) < 60_000


def test_running_trials_only(tmp_path: Path, experiment: ScalingExperiment, build: SimpleNamespace) -> None:
    records = [
        build.record(16, 500_000, 0, kind=TrialKind.DENSE, loss=None, state=state)
        for state in (TrialState.RUNNING, TrialState.PENDING)
    ]
    page = written(tmp_path, experiment, records)
    assert "Running" in page
    assert verdict_of(page) == "note"


def test_single_point(tmp_path: Path, experiment: ScalingExperiment, build: SimpleNamespace) -> None:
    records = build.sweep(widths=(16,), tokens=(500_000,), seeds=1, pipelines=())
    page = written(tmp_path, experiment, records)
    assert verdict_of(page) == "bad"
    assert "There is no law" in page
    assert charts_in(page) == {"loss-compute", "isoloss-map", "loss-bytes"}
    assert "There is no law to draw; the verdict says why." in page


def test_one_size_only(tmp_path: Path, experiment: ScalingExperiment, build: SimpleNamespace) -> None:
    page = written(tmp_path, experiment, build.sweep(widths=(32,)))
    assert "There is no law" in page
    assert {"loss-compute", "isoloss-map", "loss-bytes", "penalties"} <= charts_in(page)


def test_without_pipelines(tmp_path: Path, build: SimpleNamespace) -> None:
    experiment = build.experiment(laws=[{"name": "chinchilla", "form": "Chinchilla"}], ask={})
    page = written(tmp_path, experiment, build.sweep(pipelines=()))
    assert "penalties" not in charts_in(page)
    assert "no finished compressed model" in page
    assert "N ∝ C^" in page


def test_without_bootstrap(tmp_path: Path, build: SimpleNamespace) -> None:
    experiment = build.experiment(laws=[{"name": "plain", "form": "Chinchilla", "bootstrap": 0}])
    page = written(tmp_path, experiment, build.sweep())
    assert "no interval: bootstrap off" in page
    assert "coefficients" in charts_in(page)
    assert not re.search(
        r"\b(nan|inf|None)\b", re.sub(r"<script.*?</script>|<style.*?</style>", "", page, flags=re.DOTALL)
    )


def test_linear_law_alone(tmp_path: Path, build: SimpleNamespace) -> None:
    experiment = build.experiment(laws=[{"name": "pillars", "form": "Linear"}])
    page = written(tmp_path, experiment, build.sweep())
    assert "The law is not one over N and D." in page
    assert {"loss-compute", "predicted-observed", "coefficients", "loss-bytes"} <= charts_in(page)
    assert "VIF" in page


def test_all_parameters_counted(tmp_path: Path, build: SimpleNamespace) -> None:
    law = {"name": "total", "form": "Chinchilla", "parameters": "Total", "bootstrap": 50}
    page = written(tmp_path, build.experiment(laws=[law]), build.sweep(pipelines=()))
    assert "N counts everything, embeddings included" in page
    assert "14.3k" in page  # 10,240 and 256 embeddings of width 16


def test_two_treatments(tmp_path: Path, build: SimpleNamespace) -> None:
    records = build.sweep(pipelines=(), seeds=2)
    noisy = [
        r.model_copy(update={"spec": r.spec.model_copy(update={
            "id": build.trial_id(r.spec.id), "treatment": r.spec.treatment.model_copy(update={"name": "noisy"})})})
        for r in records
        if r.spec.kind is TrialKind.DENSE
    ]  # fmt: skip
    page = written(tmp_path, build.experiment(), [*records, *noisy])
    assert "Hollow diamonds are not in the fit." in page
    assert "32 dense point(s) of treatment noisy" in page


def test_many_sizes_and_many_pipelines(tmp_path: Path, build: SimpleNamespace) -> None:
    experiment = build.experiment(laws=[{"name": "c", "form": "Chinchilla", "bootstrap": 20}])
    page = written(
        tmp_path, experiment, build.sweep(widths=range(16, 416, 8), seeds=1, tokens=(500_000, 10**6, 2 * 10**6))
    )
    assert "loss-compute" in charts_in(page)
    assert len(page) < 4_000_000


def test_thousands_of_points_stay_small(tmp_path: Path, build: SimpleNamespace) -> None:
    experiment = build.experiment(laws=[{"name": "c", "form": "Chinchilla", "bootstrap": 0}])
    tokens = [500_000 + 512 * i for i in range(600)]
    page = written(tmp_path, experiment, build.sweep(seeds=1, tokens=tokens, pipelines=("int4",)))
    assert "800 of 2,400 points are drawn." in page
    assert len(page) < 4_000_000


def test_lost_metrics_are_left_out(tmp_path: Path, experiment: ScalingExperiment, build: SimpleNamespace) -> None:
    def bare(r: TrialRecord) -> TrialRecord:
        metrics = r.status.metrics.model_copy(
            update={"stored_bytes": None, "effective_bits": None, "bits_per_byte": None}
        )
        status = r.status.model_copy(update={"metrics": metrics, "environment": None, "timings": None})
        return r.model_copy(update={"status": status})

    page = written(tmp_path, experiment, [bare(r) for r in build.sweep()])
    assert "No finished trial has recorded its stored size." in page
    assert "penalties" in charts_in(page)


def test_what_users_write_stays_text(tmp_path: Path, build: SimpleNamespace) -> None:
    hostile = "</script><script>alert(1)</script><img src=x onerror=alert(2)>&\"'"
    failure = Failure(failure_class="Application", reason="Broken", message=hostile)
    broken = build.record(16, 500_000, 9, kind=TrialKind.DENSE, loss=None, state=TrialState.FAILED)
    records = [
        *build.sweep(),
        broken.model_copy(update={"status": broken.status.model_copy(update={"failure": failure})}),
    ]
    experiment = build.experiment(
        execution={"env": [{"name": "TOKEN", "value": "hunter2"}], "storage": {"uri": "s3://key:pass@bucket/a?sig=abc"}}
    )
    analysis = analyse(experiment.spec, records)
    law = analysis.laws[0].law
    assert law is not None
    law = replace(law, findings=(Finding(FindingCode.LACK_OF_FIT, hostile),), formula=hostile)
    analysis = replace(
        analysis,
        laws=(replace(analysis.laws[0], law=law),),
        excluded=(hostile,),
        answers=(Answer(law="chinchilla", question="trainingFlops", at=1e13, refused=hostile,
                        findings=(FindingStatus(code="Odd", message=hostile),)),),
    )  # fmt: skip
    page = written(tmp_path, experiment, records, analysis)
    starts = Starts(page)
    assert "img" not in starts.tags
    assert starts.tags.count("script") == 7 + 2
    assert not [key for _, key in starts.attributes if key.startswith("on")]
    assert page.count("alert(1)") == page.count("&lt;script&gt;alert(1)") + page.count("\\u003cscript\\u003ealert(1)")
    assert "alert(2)" in page
    assert all(secret not in page for secret in ("hunter2", "key:pass", "sig=abc"))


class Starts(HTMLParser):
    """Every element and attribute of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(tag, key) for key, _ in attrs]


@pytest.mark.parametrize("exponent", ["alpha", "beta"])
def test_flat_exponent_has_no_frontier(
    tmp_path: Path, experiment: ScalingExperiment, records: list[TrialRecord], analysis: Analysis, exponent: str
) -> None:
    law = analysis.laws[0].law
    assert law is not None
    flat = tuple(replace(c, value=0.0, lower=0.0) if c.name == exponent else c for c in law.coefficients)
    changed = replace(law, coefficients=flat, findings=(Finding(FindingCode.BOUND_HIT, f"{exponent} is 0."),))
    page = written(
        tmp_path, experiment, records, replace(analysis, laws=(replace(analysis.laws[0], law=changed),), answers=())
    )
    assert "Bound hit" in page
    assert verdict_of(page) == "care"
    assert "loss-compute" in charts_in(page)


def test_refused_law_beside_a_good_one(
    tmp_path: Path, experiment: ScalingExperiment, records: list[TrialRecord], analysis: Analysis
) -> None:
    why = Finding(FindingCode.INVALID_REQUEST, "There is no form named Kaplan.")
    refused = FittedLaw(LawRequest(name="kaplan", form="Kaplan"), None, why)
    page = written(tmp_path, experiment, records, replace(analysis, laws=(refused, *analysis.laws)))
    assert verdict_of(page) == "bad"
    assert "There is no form named Kaplan." in page
    assert "coefficients" in charts_in(page)


def test_clean_law_is_green(
    tmp_path: Path, experiment: ScalingExperiment, records: list[TrialRecord], analysis: Analysis
) -> None:
    first = analysis.laws[0]
    assert first.law is not None
    assert first.law.certificate is not None
    law = replace(
        first.law, findings=(), certificate=replace(first.law.certificate, gradient_norm=1e-12, starts_agreeing=5)
    )
    page = written(tmp_path, experiment, records, replace(analysis, laws=(replace(first, law=law),), answers=()))
    assert verdict_of(page) == "good"
    assert "can be trusted" in page


def test_records_that_the_analysis_has_not_seen(
    tmp_path: Path, experiment: ScalingExperiment, records: list[TrialRecord]
) -> None:
    nothing = Analysis(Points(np.array([]), np.array([]), np.array([])), (), (), (), ())
    page = written(tmp_path, experiment, records, nothing)
    assert "The experiment asks for no law." in page
    assert {"loss-compute", "loss-bytes"} <= charts_in(page)


def test_full_disk_leaves_the_old_report(
    tmp_path: Path, experiment: ScalingExperiment, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = written(tmp_path, experiment, [])

    def full(self: Path, data: bytes) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OSError, match="No space left"):
        written(tmp_path, experiment, [])
    assert (tmp_path / "report.html").read_text(encoding="utf-8") == before
