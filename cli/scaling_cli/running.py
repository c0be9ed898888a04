"""A run from end to end: plan, train, analyse, keep what was found in the results folder."""

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from scaling_api.messages import ended
from scaling_api.v1alpha1.status import TrialState
from scaling_api.v1alpha1.trial import FailureClass
from scaling_cli.errors import CommandError, ExitCode
from scaling_cli.planning import LocalPlan, plan_as_json
from scaling_cli.progress import RunProgress
from scaling_cli.results import PLAN_FILE
from scaling_cli.run_documents import LAWS_FILE, RUN_FILE, Measured, laws_as_json, read_measured
from scaling_cli.show.json_text import json_text
from scaling_cli.show.progress import shown_progress
from scaling_laws.analysis import Analysis, analyse
from scaling_laws.design.cost import trial_seconds
from scaling_laws.design.supported import Place

if TYPE_CHECKING:
    from scaling_trainer.executors.base import Executor, Outcome
    from scaling_trainer.executors.within_budget import Done
    from scaling_trainer.results import ResultsFolder

GEMM_THREADS = 2
_KEPT = frozenset((TrialState.SUCCEEDED, TrialState.CACHED, TrialState.DIVERGED))
"""Ends that a second run does not repeat."""


@dataclass(frozen=True)
class Run:
    """How a run ended."""

    local: LocalPlan
    folder: Path
    reused: int
    """Trials that earlier runs had finished."""
    done: "Done"
    analysis: Analysis | None
    """None where the run was interrupted."""
    seconds: float
    """Wall time, from the plan to the laws."""
    gemm_gflops: float | None
    """Of this machine on two threads; None where nothing was trained or it could not be measured."""

    @property
    def outcome(self) -> "Outcome":
        """What came of the trials."""
        return self.done.outcome

    @property
    def counts(self) -> Mapping[TrialState, int]:
        """Trials by state; those without a record are pending."""
        states = Counter(record.status.state for record in self.outcome.records.values())
        pending = len(self.local.plan.trials) - sum(states.values())
        return states + Counter({TrialState.PENDING: pending})

    @property
    def without_result(self) -> int:
        """Trials that failed, diverged or were never run."""
        return sum(number for state, number in self.counts.items() if state not in _WITH_RESULT)

    @property
    def exit_code(self) -> ExitCode:
        """What the shell is told. Missing trials come before a refused law, which they may explain."""
        if self.outcome.interrupted:
            return ExitCode.INTERRUPTED
        if self.outcome.stopped is not None and self.outcome.stopped.failure_class is FailureClass.CONFIGURATION:
            return ExitCode.USER_ERROR
        if self.without_result:
            return ExitCode.TRIALS_FAILED
        assert self.analysis is not None
        return ExitCode.LAW_REFUSED if any(law.law is None for law in self.analysis.laws) else ExitCode.DONE


_WITH_RESULT = frozenset((TrialState.SUCCEEDED, TrialState.CACHED))


def execute(
    local: LocalPlan,
    folder: Path,
    *,
    fresh: bool,
    on_open: Callable[[int, Sequence[str]], None],
    on_corpus: Callable[[Sequence[str]], None],
) -> Run:
    """Run a plan in a results folder, go on from what is there, and fit the laws.

    Args:
        local: the plan.
        folder: made where it does not exist.
        fresh: remove what earlier runs left.
        on_open: called once the folder is ours, with the number of trials that need not be repeated, and with
            sentences on what in the folder could not be read.
        on_corpus: called with sentences on what of the corpus is left out, if there is something to train.

    Raises:
        CommandError: the folder or the corpus cannot be used.
    """
    begin = time.monotonic()
    with _opened(folder, local, fresh=fresh) as results:
        reused = _reusable(local, results)
        on_open(len(reused), results.warnings)
        results.write_file(PLAN_FILE, json_text(plan_as_json(local)).encode())
        remarks = _checked_corpus(local, folder)
        if len(reused) < len(local.plan.trials):
            on_corpus(remarks)
        done = _train(local, results, finished=reused)
        analysis = None if done.outcome.interrupted else _analysed(local, done.outcome)
        seconds = time.monotonic() - begin
        run = Run(local, folder, len(reused), done, analysis, seconds, _gemm_gflops(done.outcome, reused))
        _keep(run, results)
        return run


@contextmanager
def _opened(folder: Path, local: LocalPlan, *, fresh: bool) -> "Iterator[ResultsFolder]":
    """Open the results folder; what goes wrong in it then is said in words."""
    from scaling_trainer.errors import ConfigurationError
    from scaling_trainer.results import ResultsFolder

    is_open = False
    try:
        with ResultsFolder.open(_named(folder), local.experiment, fresh=fresh) as results:
            is_open = True
            if fresh:
                _forget(folder)
            yield results
    except ConfigurationError as error:
        raise CommandError(str(error)) from None
    except BrokenPipeError:  # of the command's own output, whose reader has seen enough
        raise
    except OSError as error:
        raise CommandError(_disk_trouble(error, folder, is_open=is_open)) from None


def _named(folder: Path) -> Path:
    try:
        str(folder.absolute()).encode()
    except UnicodeEncodeError:
        raise CommandError(f"{str(folder)!r}: the name of a results folder must be UTF-8 text.") from None
    return folder


def _disk_trouble(error: OSError, folder: Path, *, is_open: bool) -> str:
    from scaling_trainer.errors import DISK_FULL, DiskFullError

    if error.errno in DISK_FULL:
        return str(DiskFullError.at(folder))
    if not is_open:
        why = error.strerror or error
        return f"{folder}: no results folder can be made here ({why}); name another with --out."
    return (
        f"{error.filename or folder}: {error.strerror or error}. Results are kept in {folder}: see that it is there "
        "and that nothing else changes it, then run the experiment again."
    )


def _reusable(local: LocalPlan, results: "ResultsFolder") -> frozenset[str]:
    """Return the trials of the plan that have their end already; failed ones are tried again."""
    records = results.records()
    ids = (trial.id for trial in local.plan.trials)
    return frozenset(id_ for id_ in ids if id_ in records and records[id_].status.state in _KEPT)


def _forget(folder: Path) -> None:
    for name in (LAWS_FILE, RUN_FILE):
        (folder / name).unlink(missing_ok=True)


def _checked_corpus(local: LocalPlan, folder: Path) -> Sequence[str]:
    """Prepare the corpus and see that it is large enough, before hours are spent; return remarks on it."""
    from scaling_trainer.data.corpus import CorpusError, load_corpus

    spec = local.experiment.spec
    language = spec.task.language
    assert language is not None, "no other task can be planned yet"
    try:
        corpus = load_corpus(language.corpus, spec.training, folder=folder, expected=local.corpus_fingerprint)
        corpus.require(max(trial.tokens for trial in local.plan.trials), context=language.context_length)
        return corpus.remarks(context=language.context_length, sequences=spec.training.evaluation_sequences)
    except CorpusError as error:
        raise CommandError(ended(f"spec.task.language.corpus: {error}")) from None


def _train(local: LocalPlan, results: "ResultsFolder", *, finished: frozenset[str]) -> "Done":
    from scaling_trainer.executors.within_budget import Work, run_within_budget

    spec = local.experiment.spec
    work = Work(local.plan.trials, spec.execution, spec.budget)
    sequences = spec.training.evaluation_sequences
    estimates = {trial.id: trial_seconds(trial, evaluation_sequences=sequences) for trial in local.plan.trials}
    progress = RunProgress.of(local.plan.trials, estimates, lanes=local.lanes, finished=finished)
    with closing(_executor(local, results)) as executor, shown_progress(progress) as on_event:
        return run_within_budget(executor, work, results=results, on_event=on_event)


def _executor(local: LocalPlan, results: "ResultsFolder") -> "Executor":
    from scaling_trainer.context import TrialContext

    spec, fingerprint = local.experiment.spec, local.corpus_fingerprint
    context = TrialContext(spec.task, spec.training, corpus_fingerprint=fingerprint, folder=results.path)
    if local.place is Place.RAY:
        from scaling_trainer.executors.ray.executor import RayExecutor

        return RayExecutor(context, lanes=local.lanes)
    from scaling_trainer.executors.local import LocalExecutor

    return LocalExecutor(context, lanes=local.lanes, keep_open=(results.lock_descriptor,))


def _analysed(local: LocalPlan, outcome: "Outcome") -> Analysis:
    return analyse(local.experiment.spec, outcome.records.values())


def _gemm_gflops(outcome: "Outcome", reused: frozenset[str]) -> float | None:
    """Return the machine's speed, to read the time beside; not worth its seconds where nothing was trained."""
    if outcome.interrupted or not outcome.records.keys() - reused:
        return None
    from scaling_trainer.probe import gemm_gflops

    try:
        return gemm_gflops(GEMM_THREADS)
    except RuntimeError:
        return None


def _keep(run: Run, results: "ResultsFolder") -> None:
    if run.analysis is not None:
        results.write_file(LAWS_FILE, json_text(laws_as_json(run.analysis)).encode())
    if run.gemm_gflops is not None or run.outcome.interrupted:
        earlier = read_measured(run.folder) if run.reused else Measured()
        took = Measured((earlier.seconds or 0.0) + run.seconds, run.gemm_gflops)
        results.write_file(RUN_FILE, json_text(asdict(took)).encode())
