"""Plans and experiments for scripted trials."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from scaling_api.v1alpha1.compression import Pipeline
from scaling_api.v1alpha1.execution import Execution, Retries
from scaling_api.v1alpha1.experiment import ExperimentSpec, Metadata, ScalingExperiment
from scaling_api.v1alpha1.status import TrialState
from scaling_api.v1alpha1.sweep import Combination, ComputeLevel, Sweep, Treatment
from scaling_api.v1alpha1.task import CustomTask, Task
from scaling_api.v1alpha1.training import Training
from scaling_api.v1alpha1.trial import (
    Failure,
    FailureClass,
    ModelShape,
    ParameterCounts,
    TrialKind,
    TrialMetrics,
    TrialRecord,
    TrialSpec,
    TrialStatus,
)
from scaling_trainer.context import TrialContext
from scaling_trainer.executors.base import Event, Orders, Outcome
from scaling_trainer.executors.local import LocalExecutor
from scaling_trainer.journal import AttemptEnded, AttemptStarted
from scaling_trainer.results import ResultsFolder


def trial_id(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()[:16]


def trial(
    name: str, *parents: str, steps: int = 3, kind: TrialKind = TrialKind.TRUNK, flops: float = 0.0, workers: int = 1
) -> TrialSpec:
    return TrialSpec(
        id=trial_id(name),
        kind=kind,
        task="custom",
        parents=tuple(map(trial_id, parents)),
        trajectory=trial_id(name),
        model=ModelShape(family="decoder", layers=1, width=8, heads=1, context=8, vocabulary=256),
        parameters=ParameterCounts(matmul=8, blocks=8, total=8),
        tokens=1,
        start_step=0,
        end_step=steps,
        flops=flops,
        cumulative_flops=flops,
        treatment=Treatment(name="clean"),
        pipeline=Pipeline(name="dense"),
        compute=ComputeLevel(workers=workers),
        seed=0,
    )


def family(count: int, *, steps: int = 3) -> list[TrialSpec]:
    """Trunks of two segments, a branch of each, and a pipeline of each branch."""
    trials = []
    for i in range(count):
        trials += [trial(f"{i}.trunk", steps=steps), trial(f"{i}.trunk2", f"{i}.trunk", steps=steps)]
        for segment in ("trunk", "trunk2"):
            branch = f"{i}.{segment}.branch"
            trials += [
                trial(branch, f"{i}.{segment}", steps=steps, kind=TrialKind.DENSE),
                trial(f"{branch}.int4", branch, steps=1, kind=TrialKind.PIPELINE),
            ]
    return trials


def task(scripts: Mapping[str, str] | str = "") -> Task:
    """Scripts by trial name, or one for all."""
    named = {"default": scripts} if isinstance(scripts, str) else scripts
    options = {name if name == "default" else trial_id(name): text for name, text in named.items()}
    return Task(custom=CustomTask(entrypoint="scripted_trials:run_trial", options=options))


def experiment(name: str = "scripted", *, scripts: Mapping[str, str] | str = "") -> ScalingExperiment:
    sweep = Sweep(design="List", combinations=(Combination(parameters=1, tokens=1),))
    return ScalingExperiment(metadata=Metadata(name=name), spec=ExperimentSpec(task=task(scripts), sweep=sweep))


AT = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)


def started(name: str, attempt: int = 1) -> AttemptStarted:
    return AttemptStarted(trial=trial_id(name), attempt=attempt, lane=0, at=AT)


def ended(name: str, state: TrialState = TrialState.SUCCEEDED, *, loss: float | None = 0.1) -> AttemptEnded:
    failure = Failure(failure_class=FailureClass.APPLICATION, reason="Why", message="é\n\u2028 \U0001f600 'quoted\"")
    status = TrialStatus(state=state, failure=failure, metrics=TrialMetrics(loss=loss))
    return AttemptEnded(record=TrialRecord(spec=trial(name), status=status), at=AT)


@dataclass
class Run:
    """One run of scripted trials, and all that it told."""

    folder: Path
    trials: Sequence[TrialSpec]
    scripts: Mapping[str, str] | str = ""
    lanes: int = 2
    retries: Retries = field(default_factory=Retries)
    max_failed_trials: int = 5
    function: str = "scripted_trials:run_trial"
    on_event: Callable[[Event], None] | None = None
    events: list[Event] = field(default_factory=list)
    executor: LocalExecutor | None = None

    def __call__(self) -> Outcome:
        context = TrialContext(
            task=task(self.scripts), training=Training(), corpus_fingerprint="0" * 64, folder=self.folder
        )
        execution = Execution(retries=self.retries, max_failed_trials=self.max_failed_trials)
        orders = Orders(0, self.trials, execution)
        with ResultsFolder.open(self.folder, experiment()) as results:
            self.executor = LocalExecutor(
                context, lanes=self.lanes, run=self.function, keep_open=(results.lock_descriptor,)
            )
            return self.executor.run(lambda: orders, ledger=results, on_event=self._tell)

    def _tell(self, event: Event) -> None:
        self.events.append(event)
        if self.on_event is not None:
            self.on_event(event)

    def of(self, kind: type[Event]) -> list[Event]:
        return [event for event in self.events if isinstance(event, kind)]
