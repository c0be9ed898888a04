"""Tables of compression: each pipeline with its penalty, and all candidate formulas."""

from collections.abc import Iterable

from scaling_api.v1alpha1.compression import Distill, Finetune, Pipeline, Prune, Quantize
from scaling_cli.report.numbers import (
    MISSING,
    nats,
    significant,
    symbol,
    uncertain,
)
from scaling_cli.report.tables import Table
from scaling_cli.report.view import ReportView
from scaling_laws.analysis import PipelineLaw


def pipelines_table(view: ReportView) -> Table | None:
    """Return each pipeline with its penalty over all pairs and the formula that predicts it."""
    known = {p.name: p for p in view.experiment.spec.sweep.compression}
    rows = [_pipeline(law, known.get(law.pipeline), view) for law in view.pipeline_laws]
    columns = (
        "Pipeline",
        "Stages",
        "Pairs",
        "Mean penalty (nats)",
        "Bits a parameter",
        "Formula",
        "Back-test error (nats)",
    )
    notes = (
        "A penalty is the loss of a compressed model minus that of its control, a dense model with the same training. "
        "Standard errors are clustered by trajectory. The formula is the candidate that best predicts the largest D.",
    )
    return Table("Compression pipelines", columns, rows, frozenset({2, 3, 4, 6}), notes) if rows else None


def candidates_table(view: ReportView) -> Table | None:
    """Return all candidate formulas with their coefficients."""
    rows = [
        (
            law.pipeline,
            fit.form,
            fit.formula,
            _named(fit.coefficients),
            nats(fit.backtest_error),
            nats(fit.in_sample_error),
            "chosen" if law.chosen is fit else "",
        )
        for law in view.pipeline_laws
        for fit in law.candidates
    ]
    columns = ("Pipeline", "Form", "Formula", "Coefficients", "Back-test error", "In-sample error", "")
    return Table("Candidate formulas", columns, rows, frozenset({4, 5})) if rows else None


def stages_of(pipeline: Pipeline | None) -> str:
    """Return the stages of a pipeline in words, such as `prune 50 %, fine-tune 10 %`."""
    if pipeline is None:
        return MISSING
    return ", ".join(_stage(stage.operation) for stage in pipeline.stages) or "none: the dense model"


def _pipeline(law: PipelineLaw, pipeline: Pipeline | None, view: ReportView) -> tuple[str, ...]:
    points = [p for p in view.analysis.pipeline_points if p.pipeline == law.pipeline]
    bits = [p.effective_bits for p in points if p.effective_bits == p.effective_bits]
    chosen = law.chosen
    return (
        law.pipeline,
        stages_of(pipeline),
        f"{len(points):,}",
        uncertain(law.mean_penalty, law.mean_penalty_standard_error),
        significant(sum(bits) / len(bits), 3) if bits else MISSING,
        f"{chosen.form}: {chosen.formula}" if chosen else MISSING,
        nats(chosen.backtest_error) if chosen else MISSING,
    )


def _named(coefficients: Iterable[tuple[str, float, float | None]]) -> str:
    return ", ".join(f"{symbol(name)} = {uncertain(value, error)}" for name, value, error in coefficients) or MISSING


def _stage(operation: Prune | Finetune | Quantize | Distill) -> str:
    match operation:
        case Prune():
            return f"prune {operation.sparsity:.0%}"
        case Finetune():
            return f"fine-tune {operation.fraction:.0%}"
        case Quantize():
            aware = f" after {operation.aware:.0%} aware training" if operation.aware else ""
            return f"int{operation.weight_bits}, groups of {operation.group_size}{aware}"
        case Distill():
            return f"distill {operation.fraction:.0%}"
