"""What is written down of a run: its laws, what it took, how it ended."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scaling_cli.planning import plan_as_json
from scaling_laws.analysis import Analysis, PenaltyFit, PipelineLaw

if TYPE_CHECKING:
    from scaling_cli.running import Run

LAWS_FILE, RUN_FILE = "laws.json", "run.json"


@dataclass(frozen=True)
class Measured:
    """What the runs in a folder took."""

    seconds: float | None = None
    """Wall time of all runs whose results are there."""
    gemm_gflops: float | None = None
    """Speed of matrix multiplication on two threads, in GFLOP/s."""


def read_measured(folder: Path) -> Measured:
    """Return what the runs in a folder took, as far as it was written down."""
    try:
        found = json.loads((folder / RUN_FILE).read_bytes())
        return Measured(*(found[name] and float(found[name]) for name in ("seconds", "gemm_gflops")))
    except (OSError, ValueError, KeyError, TypeError):
        return Measured()


def laws_as_json(analysis: Analysis) -> dict[str, Any]:
    """Return the laws, answers and penalties as JSON values, in the shape of an experiment's status."""
    return {
        "laws": [law.model_dump(mode="json") for law in analysis.law_statuses],
        "answers": [answer.model_dump(mode="json") for answer in analysis.answers],
        "pipelines": {
            law.request.name: [_pipeline(p) for p in law.pipelines] for law in analysis.laws if law.pipelines
        },
        "backtests": {law.request.name: [asdict(b) for b in law.backtests] for law in analysis.laws if law.backtests},
        "excluded": list(analysis.excluded),
    }


def _pipeline(pipeline: PipelineLaw) -> dict[str, Any]:
    return {
        "pipeline": pipeline.pipeline,
        "meanPenalty": pipeline.mean_penalty,
        "meanPenaltyStandardError": pipeline.mean_penalty_standard_error,
        "chosen": pipeline.chosen.form if pipeline.chosen else None,
        "candidates": [_candidate(candidate) for candidate in pipeline.candidates],
        "findings": [{"code": f.code.value, "message": f.message} for f in pipeline.findings],
    }


def _candidate(fit: PenaltyFit) -> dict[str, Any]:
    return {
        "form": fit.form,
        "formula": fit.formula,
        "coefficients": {name: {"value": value, "standardError": error} for name, value, error in fit.coefficients},
        "backtestError": fit.backtest_error,
        "inSampleError": fit.in_sample_error,
    }


def run_as_json(run: "Run", *, report: Path | None) -> dict[str, Any]:
    """Return how a run ended as JSON values."""
    plan = {key: value for key, value in plan_as_json(run.local).items() if key != "trials"}
    return {
        "experiment": run.local.experiment.metadata.name,
        "folder": str(run.folder),
        "plan": plan,
        "trials": {state.value: number for state, number in run.counts.items() if number},
        "reused": run.reused,
        "interrupted": run.outcome.interrupted,
        "stopped": run.outcome.stopped.message if run.outcome.stopped else None,
        "spent": run.done.spent.model_dump(mode="json"),
        "budgetExhausted": run.done.budget_exhausted,
        **(laws_as_json(run.analysis) if run.analysis else {}),
        "report": str(report) if report else None,
        "seconds": run.seconds,
        "gemmGflops": run.gemm_gflops,
        "exitCode": int(run.exit_code),
    }
