"""Tables of the trials: by state, what failed, every dense point, the run, the recipe."""

from collections import Counter
from collections.abc import Iterable

from scaling_api.v1alpha1.status import TrialState
from scaling_api.v1alpha1.trial import TrialKind, TrialRecord
from scaling_cli.report.numbers import (
    MISSING,
    count,
    duration,
    flops,
    nats,
    plural,
)
from scaling_cli.report.tables import Table
from scaling_cli.report.view import ReportView

MAX_ROWS = 300
MAX_FAILURES = 25


def trials_table(view: ReportView) -> Table | None:
    """Return the trials by kind and state."""
    counts = Counter((r.spec.kind.value, r.status.state) for r in view.trials)
    states = [state for state in TrialState if any(s is state for _, s in counts)]
    kinds = [kind.value for kind in TrialKind if any(k == kind.value for k, _ in counts)]
    rows = [
        (kind, *(f"{counts[kind, s]:,}" for s in states), f"{sum(counts[kind, s] for s in states):,}") for kind in kinds
    ]
    columns = ("Kind", *(s.value for s in states), "Total")
    return Table("Trials by state", columns, rows, frozenset(range(1, len(columns)))) if rows else None


def failures_table(view: ReportView) -> Table | None:
    """Return the trials that ended without a result, and why."""
    broken = [r for r in view.trials if r.status.state in {TrialState.FAILED, TrialState.DIVERGED}]
    rows = [_failure(r) for r in broken[:MAX_FAILURES]]
    notes = (f"{len(broken) - len(rows)} more are in the trial table.",) if len(broken) > len(rows) else ()
    columns = ("Trial", "What", "State", "Reason", "Message")
    return Table("Trials without a result", columns, rows, notes=notes) if rows else None


def points_table(view: ReportView) -> Table | None:
    """Return the dense points with what the law says of each."""
    errors = {r.spec.id: r.status.metrics.loss_standard_error for r in view.trials}
    rows = [
        (
            p.size,
            count(p.D),
            flops(p.C),
            str(p.seed),
            nats(p.loss),
            nats(errors.get(p.trial)),
            nats(p.predicted),
            MISSING if p.residual is None else f"{p.residual:+.2%}",
            "yes" if p.is_fitted else "no",
            p.trial,
        )
        for p in view.points[:MAX_ROWS]
    ]
    more = len(view.points) - len(rows)
    notes = (f"The first {MAX_ROWS} of {len(view.points):,} points.",) if more > 0 else ()
    columns = (
        "N",
        "D",
        "FLOPs",
        "Seed",
        "Loss (nats)",
        "Standard error",
        "Predicted",
        "Residual",
        "In the fit",
        "Trial",
    )
    return Table("Dense points", columns, rows, frozenset(range(8)), notes) if rows else None


def run_table(view: ReportView) -> Table:
    """Return what was planned, what it took, and on what."""
    plan, measured = view.measured.plan, view.measured
    times = [r.status.timings.seconds for r in view.trials if r.status.timings]
    spent = sum(r.spec.flops for r in view.trials if r.status.state.is_finished)
    rows = [
        ("Trials planned", f"{plan.trials:,}, of which {plural(plan.points, 'point')}" if plan else MISSING),
        ("Training compute planned", f"{flops(plan.training_flops)} FLOPs" if plan else MISSING),
        ("Training compute of finished trials", f"{flops(spent)} FLOPs"),
        ("Wall time", duration(measured.wall_time_s)),
        ("Time in trials, summed over processes", duration(sum(times)) if times else MISSING),
        ("Matrix multiplication of this machine", _gemm(measured.gemm_gflops)),
        *_environment(view.trials),
    ]
    return Table("Run and environment", ("", ""), [row for row in rows if row[1] != MISSING])


def recipe_table(view: ReportView) -> Table:
    """Return the sweep and the recipe that every trial shares."""
    spec, training = view.experiment.spec, view.experiment.spec.training
    shapes = {(r.spec.model.family, r.spec.model.layers, r.spec.model.context) for r in view.trials}
    rows = [
        ("Task", _task(view)),
        ("Design", f"{spec.sweep.design.value}, {plural(spec.sweep.seeds, 'seed')}"),
        ("Parameters N (realised)", ", ".join(view.sizes.domain[:16]) or MISSING),
        ("Training tokens D", ", ".join(count(D) for D in sorted({p.D for p in view.points})[:16]) or MISSING),
        ("Model", "; ".join(f"{f}, {plural(n, 'layer')}, context {c:,}" for f, n, c in sorted(shapes)[:4]) or MISSING),
        (
            "Optimizer",
            f"AdamW, rate {training.learning_rate:g} at width 32, decay {training.weight_decay:g}, "
            f"clip {training.gradient_clip:g}",
        ),
        (
            "Schedule",
            f"{training.warmup_steps:,} steps of warmup, last {training.decay_fraction:.0%} decay, "
            f"{plural(training.batch_size, 'sequence')} a step, {training.precision.value}",
        ),
        (
            "Evaluation",
            f"{plural(training.evaluation_sequences, 'sequence')} of the {training.held_out_fraction:.0%} "
            "of documents that are held out",
        ),
    ]
    return Table("Sweep and recipe", ("", ""), [row for row in rows if row[1] != MISSING])


def _failure(r: TrialRecord) -> tuple[str, ...]:
    trial, failure = r.spec, r.status.failure
    size = f"N {count(trial.parameters.matmul)}, D {count(trial.tokens)}"
    what = f"{trial.kind.value}, {size}, {trial.pipeline.name}, seed {trial.seed}"
    return (
        trial.id,
        what,
        r.status.state.value,
        failure.reason if failure else MISSING,
        failure.message if failure else MISSING,
    )


def _gemm(gflops: float | None) -> str:
    return MISSING if gflops is None else f"{gflops:.0f} GFLOP/s in single precision"


def _environment(trials: Iterable[TrialRecord]) -> list[tuple[str, str]]:
    seen = [r.status.environment for r in trials if r.status.environment]
    if not seen:
        return []
    versions = sorted({f"Python {e.python}, PyTorch {e.torch}" for e in seen})
    devices = sorted({f"{e.device}, {plural(e.threads, 'thread')} a process" for e in seen})
    return [("Software", "; ".join(versions[:6])), ("Device", "; ".join(devices[:6]))]


def _task(view: ReportView) -> str:
    task = view.experiment.spec.task
    if task.language is None:
        return task.name
    corpus = task.language.corpus
    source = "the built-in corpus of Python source" if corpus.python else "a corpus given by URI"
    return f"language: bytes of {source}, context {task.language.context_length:,}"
