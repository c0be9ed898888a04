"""What a run took, and its last words where not all went well."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from scaling_api.v1alpha1.status import TrialState
from scaling_cli.errors import ExitCode
from scaling_cli.show.numbers import duration, some

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
        yield f"Nothing to train: all {some(run.reused, 'trial')} were there; {duration(run.seconds)} for the laws."
        return
    lanes = run.outcome.busy_fraction.values()
    busy = f"; cores busy {sum(lanes) / len(lanes):.0%} of the time until the last trials" if lanes else ""
    yield f"{some(trained, 'trial')} in {run.seconds:.1f} s on {some(run.local.lanes, 'core')}{busy}."
    if run.gemm_gflops is not None:
        yield f"Speed of this machine: {run.gemm_gflops:.0f} GFLOP/s, a matrix product on two threads."


def last_words(run: "Run", *, again: str) -> str:
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
    why = f"{run.outcome.stopped.message} " if run.outcome.stopped else ""
    return f"{why}{run.without_result:,} of {trials} have no result ({missing}). Try again with: {again}"
