"""The quickstart's sweep with the losses that a real run of it had: what an operator would have written of it."""

import csv
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

from scaling_api.v1alpha1 import ScalingExperiment
from scaling_api.v1alpha1.status import (
    Condition,
    ExperimentStatus,
    PlanStatus,
    RayJobStatus,
    Spent,
    TrialCounts,
    TrialState,
)
from scaling_api.v1alpha1.trial import (
    Environment,
    Failure,
    FailureClass,
    Timings,
    TrialKind,
    TrialMetrics,
    TrialRecord,
    TrialSpec,
    TrialStatus,
)
from scaling_cli.experiments import load_experiment
from scaling_laws.analysis import analyse
from scaling_laws.design.corpora import PYTHON_CORPUS_FINGERPRINT
from scaling_laws.design.identity import RECIPE_VERSION
from scaling_laws.design.plan import plan_trials

HERE = Path(__file__).parent
FILE = HERE.parents[1] / "examples/quickstart.yaml"
NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
CONDITIONS = (
    "Accepted", "Suspended", "ClusterReady", "TrialsComplete", "Fitted", "BudgetExhausted", "Complete", "Failed",
)  # fmt: skip
OUT_OF_MEMORY = Failure(
    failure_class=FailureClass.APPLICATION,
    reason="OutOfMemory",
    message="The trial needs more memory than its pod has. Give the pool more memory, or train with more workers.",
)


@cache
def experiment() -> ScalingExperiment:
    return load_experiment(str(FILE)).experiment


@cache
def plan() -> tuple[TrialSpec, ...]:
    return plan_trials(experiment().spec, corpus_fingerprint=PYTHON_CORPUS_FINGERPRINT).trials


@cache
def measured() -> dict[tuple[str, ...], dict[str, str]]:
    with (HERE / "quickstart_results.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    return {tuple(row[k] for k in ("kind", "N_matmul", "D", "seed", "pipeline", "steps")): row for row in rows}


def finished(trial: TrialSpec) -> TrialRecord:
    """The trial as the real run measured it."""
    key = (trial.kind.value, trial.parameters.matmul, trial.tokens, trial.seed, trial.pipeline.name, trial.end_step)
    row = measured()[tuple(map(str, key))]
    whole = ("nonzero_parameters", "stored_bytes")
    found = {k: row[k] for k in TrialMetrics.model_fields if row.get(k)} if trial.kind is not TrialKind.TRUNK else {}
    metrics = {k: int(v) if k in whole else float(v) for k, v in found.items()}
    status = TrialStatus(
        state=TrialState.SUCCEEDED,
        attempts=1,
        metrics=TrialMetrics(**metrics),
        timings=Timings(seconds=float(row["seconds"])),
        environment=Environment(python="3.11.2", torch="2.15.0", device="cpu", threads=1),
    )
    return TrialRecord(spec=trial, status=status)


def in_state(trial: TrialSpec, state: TrialState, *, attempts: int = 1, failure: Failure | None = None) -> TrialRecord:
    return TrialRecord(spec=trial, status=TrialStatus(state=state, attempts=attempts, failure=failure))


@dataclass(frozen=True)
class Sweep:
    """An experiment in the middle of something."""

    records: tuple[TrialRecord, ...]
    status: ExperimentStatus


@cache
def complete() -> Sweep:
    records = tuple(map(finished, plan()))
    return Sweep(records, status_of(records, True_=("Accepted", "TrialsComplete", "Fitted", "Complete")))


@cache
def halfway(*, done: int = 100, running: int = 4, failed: int = 1, generation: int = 1) -> Sweep:
    """The first trials are done; the last of them failed, some run, one of them again."""
    trials = plan()
    records = [finished(trial) for trial in trials[: done - failed]]
    records += [in_state(t, TrialState.FAILED, attempts=2, failure=OUT_OF_MEMORY) for t in trials[done - failed : done]]
    records += [in_state(t, TrialState.RUNNING, attempts=1 + (n == 0)) for n, t in enumerate(trials[done:][:running])]
    return Sweep(tuple(records), status_of(records, True_=("Accepted", "ClusterReady"), generation=generation))


def status_of(
    records: Iterable[TrialRecord],
    *,
    True_: Iterable[str],
    generation: int = 1,
    now: datetime = NOW,
    **changes: Any,
) -> ExperimentStatus:
    """The status of an experiment with these records, as far as tests look at it."""
    records = tuple(records)
    finished_ = [record for record in records if record.status.state.is_finished]
    analysis = analyse(quick_spec(), finished_) if len(finished_) == len(plan()) else None
    losses = [record.status.metrics.loss for record in records if record.status.metrics.loss is not None]
    started = now - timedelta(minutes=12)
    return ExperimentStatus(
        observed_generation=generation,
        recipe_version=RECIPE_VERSION,
        corpus_fingerprint=PYTHON_CORPUS_FINGERPRINT,
        started_at=started,
        finished_at=now if "Complete" in True_ else None,
        conditions=conditions_of(True_, generation=generation, since=now - timedelta(minutes=3)),
        plan=PlanStatus(
            trials=len(plan()),
            points=160,
            training_flops=sum(t.flops for t in plan()),
            accelerator_hours=0.08,
            cost=0.29,
        ),
        trials=_counts(records),
        spent=Spent(training_flops=sum(r.spec.flops for r in finished_), accelerator_seconds=170.0, cost=0.17),
        best_loss=min(losses, default=None),
        laws=analysis.law_statuses if analysis else (),
        answers=analysis.answers if analysis else (),
        ray_job=RayJobStatus(name="quickstart-a1", attempt=1, uid="7c1d"),
    ).model_copy(update=changes)


def _counts(records: tuple[TrialRecord, ...]) -> TrialCounts:
    found = Counter(record.status.state for record in records)
    return TrialCounts(
        pending=len(plan()) - len(records),
        running=found[TrialState.RUNNING],
        succeeded=found[TrialState.SUCCEEDED],
        failed=found[TrialState.FAILED],
        diverged=found[TrialState.DIVERGED],
    )


@cache
def quick_spec() -> Any:
    """The experiment's spec with fewer draws: intervals are not what is tested."""
    spec = experiment().spec
    return spec.model_copy(update={"laws": tuple(law.model_copy(update={"bootstrap": 60}) for law in spec.laws)})


def manifest() -> dict[str, Any]:
    """The experiment as an object, with few draws."""
    few = experiment().model_copy(update={"spec": quick_spec()})
    found: dict[str, Any] = few.model_dump(mode="json", exclude_unset=True)
    return found


REASONS = {
    ("Accepted", True): ("Planned", "The sweep has 192 trials of 1.6e+13 training FLOPs in all."),
    ("Accepted", False): ("NotAllowed", "spec.execution.priorityClassName: batch may be used here, found urgent."),
    ("Suspended", True): ("SuspendedBySpec", "spec.suspend is true: no cluster runs, and results are kept."),
    ("Suspended", False): ("NotSuspended", "spec.suspend is false."),
    ("ClusterReady", True): ("DriverAnswers", "The driver of RayJob quickstart-a1 answers."),
    ("ClusterReady", False): ("Starting", "RayJob quickstart-a1 is coming up."),
    ("TrialsComplete", True): ("AllFinished", "Every trial of the plan has finished; status.trials counts how."),
    ("TrialsComplete", False): ("TrialsLeft", "Trials of the plan are left to run; status.trials counts them."),
    ("Fitted", True): ("LawsFitted", "chinchilla (Chinchilla) is fitted. pillars (Joint) is fitted."),
    ("Fitted", False): ("WaitingForTrials", "No law was fitted yet: there are too few finished trials."),
    ("BudgetExhausted", True): ("LimitReached", "budget.cost of 0.17 is spent: 0.17."),
    ("BudgetExhausted", False): ("WithinBudget", "No limit of spec.budget has ended the sweep."),
    ("Complete", True): ("Completed", "Every trial has finished, and laws and answers are made of them."),
    ("Complete", False): ("TrialsLeft", "Trials are left to run."),
    ("Failed", True): ("TooManyFailedTrials", "More than 5 trials have failed (execution.maxFailedTrials)."),
    ("Failed", False): ("NoFailure", "Nothing has ended the experiment."),
}


def conditions_of(
    True_: Iterable[str],
    *,
    generation: int,
    since: datetime,
    instead: dict[str, tuple[str, str]] | None = None,
) -> tuple[Condition, ...]:
    """The eight conditions, those of `True_` true; `instead` gives reason and message of some."""
    wanted = set(True_)
    found = []
    for kind in CONDITIONS:
        reason, message = (instead or {}).get(kind) or REASONS[kind, kind in wanted]
        status = "True" if kind in wanted else "False"
        found.append(
            Condition(
                type=kind,
                status=status,  # type: ignore[arg-type]
                observed_generation=generation,
                last_transition_time=since,
                reason=reason,
                message=message,
            )
        )
    return tuple(found)
