"""What a run took, and its last words where not all went well."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from scaling_api.v1alpha1.execution import Budget
from scaling_api.v1alpha1.status import TrialState
from scaling_cli.errors import ExitCode
from scaling_cli.show.numbers import duration, some
from scaling_cli.show.spending import amounts, time_since

if TYPE_CHECKING:
    from scaling_cli.running import Run

_ENDS = {
    TrialState.FAILED: "failed", TrialState.DIVERGED: "diverged", TrialState.INTERRUPTED: "interrupted",
    TrialState.RUNNING: "not finished", TrialState.PENDING: "not run",
}  # fmt: skip


def took(run: "Run") -> "Iterator[str]":
    """Yield sentences: what was trained in which time, and how fast the machine is."""
    trained = len(run.outcome.records) - run.reused
    if trained <= 0 and not run.outcome.interrupted:
        yield _nothing_trained(run)
        return
    lanes = run.outcome.busy_fraction.values()
    busy = f"; cores busy {sum(lanes) / len(lanes):.0%} of the time until the last trials" if lanes else ""
    yield f"{some(trained, 'trial')} in {run.seconds:.1f} s on {some(run.local.lanes, 'core')}{busy}."
    if (spent := spent_so_far(run, datetime.now(UTC))) is not None:
        yield spent
    if run.gemm_gflops is not None:
        yield f"Speed of this machine: {run.gemm_gflops:.0f} GFLOP/s, a matrix product on two threads."


def _nothing_trained(run: "Run") -> str:
    if run.without_result:
        return f"Nothing was trained; {some(run.reused, 'trial')} were there."
    return f"Nothing to train: all {some(run.reused, 'trial')} were there; {duration(run.seconds)} for the laws."


def spent_so_far(run: "Run", now: datetime) -> str | None:
    """Return a sentence on what was spent beside the limits; None where there are none."""
    budget, done = run.local.experiment.spec.budget, run.done
    if budget == Budget():
        return None
    clauses = list(amounts(done.spent, budget))
    if budget.wall_time is not None and done.first_start is not None:
        clauses.append(f"{time_since(done.first_start, now, budget)} since the first start")
    return f"Spent over all runs: {', '.join(clauses)}."


def last_words(run: "Run", *, file: str, again: str) -> str:
    """Return one paragraph on what is missing, and what to do."""
    trials = some(len(run.local.plan.trials), "trial")
    if run.exit_code is ExitCode.INTERRUPTED:
        finished = len(run.local.plan.trials) - run.without_result
        return f"Stopped. {finished:,} of {trials} are finished and kept; go on with: {again}"
    if run.exit_code is ExitCode.LAW_REFUSED:
        assert run.analysis is not None
        refused = [law for law in run.analysis.laws if law.law is None]
        reasons = (f"{law.request.name}: {law.refused.message}" for law in refused if law.refused is not None)
        return f"{some(len(refused), 'law was', 'laws were')} refused. {' '.join(reasons)}"
    missing = ", ".join(f"{run.counts[state]:,} {words}" for state, words in _ENDS.items() if run.counts.get(state))
    words = f"{run.without_result:,} of {trials} have no result ({missing})."
    if run.done.budget_exhausted is not None:
        return f"{run.done.budget_exhausted} {words} Raise the limit in {file} and go on with: {again}"
    why = f"{run.outcome.stopped.message} " if run.outcome.stopped else ""
    return f"{why}{words} Try again with: {again}"
