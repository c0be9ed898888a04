"""The report of a results folder."""

import json
from collections.abc import Iterable, Sequence
from contextlib import nullcontext
from pathlib import Path
from tempfile import TemporaryDirectory

from scaling_api.v1alpha1 import ScalingExperiment
from scaling_api.v1alpha1.status import PlanStatus
from scaling_api.v1alpha1.trial import TrialRecord
from scaling_cli.errors import CommandError
from scaling_cli.results import PLAN_FILE, current_records, open_results
from scaling_cli.run_documents import read_measured
from scaling_laws.analysis import Analysis, analyse


def report_on_folder(folder: Path, *, out: Path | None) -> Path:
    """Fit the laws on what a results folder holds, write the report, and return its path.

    Raises:
        CommandError: it is no results folder, has no results yet, or the report cannot be written.
    """
    results = open_results(folder)
    records = current_records(results)
    if not records:
        raise CommandError(f"{folder}: no trial has a result yet; run the experiment first.")
    analysis = analyse(results.experiment.spec, records)
    return write_report_of(folder, results.experiment, records, analysis, out=out)


def write_report_of(
    folder: Path,
    experiment: ScalingExperiment,
    records: Iterable[TrialRecord],
    analysis: Analysis,
    *,
    out: Path | None = None,
) -> Path:
    """Write the report into `out`, or into the results folder itself, and return its path.

    Raises:
        CommandError: it cannot be written.
    """
    measured = read_measured(folder)
    return write_page(
        out or folder,
        experiment=experiment,
        records=tuple(records),
        analysis=analysis,
        plan=_plan_status(folder),
        wall_time_s=measured.seconds,
        gemm_gflops=measured.gemm_gflops,
    )


def write_page(
    out: Path,
    *,
    experiment: ScalingExperiment,
    records: Sequence[TrialRecord],
    analysis: Analysis,
    plan: PlanStatus | None = None,
    wall_time_s: float | None = None,
    gemm_gflops: float | None = None,
) -> Path:
    """Write the report to `out` and return its path: a page alone where that ends in .html, else a folder with charts.

    Raises:
        CommandError: it cannot be written.
    """
    from scaling_cli.report import write_report

    is_page = out.suffix.lower() in {".html", ".htm"}
    try:
        with TemporaryDirectory(dir=out.parent, prefix=".report-") if is_page else nullcontext(out) as folder:
            path = write_report(
                Path(folder),
                experiment=experiment,
                records=records,
                analysis=analysis,
                plan=plan,
                wall_time_s=wall_time_s,
                gemm_gflops=gemm_gflops,
                remark=_remark,
            )
            return path.replace(out) if is_page else path
    except OSError as error:
        raise CommandError(f"The report cannot be written to {out}: {error.strerror or error}.") from None


def _remark(sentence: str) -> None:
    from scaling_cli.show.console import messages

    messages().print(f"Note: {sentence}", soft_wrap=True)


def _plan_status(folder: Path) -> PlanStatus | None:
    try:
        plan = json.loads((folder / PLAN_FILE).read_bytes())
        return PlanStatus(
            trials=plan["trialCount"],
            points=plan["points"],
            training_flops=plan["trainingFlops"],
            accelerator_hours=plan["estimate"]["acceleratorHours"],
            cost=plan["estimate"]["cost"],
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None
