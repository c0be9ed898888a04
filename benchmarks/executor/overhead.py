"""What the local executor adds to a trial, and how busy it keeps its lanes."""

import argparse
import random
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from scaling_api.v1alpha1.compression import Pipeline
from scaling_api.v1alpha1.execution import Execution
from scaling_api.v1alpha1.experiment import ExperimentSpec, Metadata, ScalingExperiment
from scaling_api.v1alpha1.sweep import Combination, ComputeLevel, Sweep, Treatment
from scaling_api.v1alpha1.task import CustomTask, Task
from scaling_api.v1alpha1.training import Training
from scaling_api.v1alpha1.trial import ModelShape, ParameterCounts, TrialKind, TrialSpec, TrialStatus
from scaling_trainer.context import TrialContext
from scaling_trainer.executors.base import Orders, Outcome
from scaling_trainer.executors.local import LocalExecutor
from scaling_trainer.results import ResultsFolder

TASK = Task(custom=CustomTask(entrypoint="overhead:sleep"))


def sleep(trial: TrialSpec, context: TrialContext) -> TrialStatus:
    """A trial that takes as long as its plan says, and computes nothing."""
    time.sleep(trial.flops)
    return TrialStatus(state="Succeeded")


def trial(number: int, seconds: float, *parents: str) -> TrialSpec:
    return TrialSpec(
        id=f"{number:016x}",
        kind=TrialKind.TRUNK,
        task="custom",
        parents=parents,
        trajectory=f"{number:016x}",
        model=ModelShape(family="decoder", layers=1, width=8, heads=1, context=8, vocabulary=256),
        parameters=ParameterCounts(matmul=8, blocks=8, total=8),
        tokens=1,
        start_step=0,
        end_step=0,
        flops=seconds,
        cumulative_flops=seconds,
        treatment=Treatment(name="clean"),
        pipeline=Pipeline(name="dense"),
        compute=ComputeLevel(),
        seed=0,
    )


def run(trials: Sequence[TrialSpec], *, lanes: int) -> Outcome:
    sweep = Sweep(design="List", combinations=(Combination(parameters=1, tokens=1),))
    experiment = ScalingExperiment(metadata=Metadata(name="overhead"), spec=ExperimentSpec(task=TASK, sweep=sweep))
    with tempfile.TemporaryDirectory() as folder:
        context = TrialContext(task=TASK, training=Training(), corpus_fingerprint="0" * 64, folder=Path(folder))
        executor = LocalExecutor(context, lanes=lanes, run="overhead:sleep", estimate=lambda planned: planned.flops)
        orders = Orders(0, trials, Execution())
        with ResultsFolder.open(Path(folder), experiment) as results:
            outcome = executor.run(lambda: orders, ledger=results, on_event=lambda _: None)
    assert len(outcome.records) == len(trials)
    return outcome


def chains(rng: random.Random, count: int) -> list[TrialSpec]:
    """Chains of a trunk, two branches and two pipelines each, whose lengths span a decade."""
    trials: list[TrialSpec] = []

    def add(seconds: float, *parents: str) -> str:
        trials.append(trial(len(trials), seconds, *parents))
        return trials[-1].id

    for _ in range(count):
        scale = 0.02 * 10 ** rng.random()
        trunk = add(4 * scale)
        for _ in range(2):
            branch = add(scale, trunk)
            add(scale / 4, branch)
            add(scale / 4, branch)
    return trials


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--trials", type=int, default=200)
    options = parser.parse_args()
    print(f"{options.trials} trials that do nothing, median of {options.repeats}:")
    for lanes in (1, 2, 4):
        none = [run([trial(0, 0.0)], lanes=lanes).seconds for _ in range(options.repeats)]
        all_ = [
            run([trial(i, 0.0) for i in range(options.trials)], lanes=lanes).seconds for _ in range(options.repeats)
        ]
        start, whole = statistics.median(none), statistics.median(all_)
        print(
            f"  {lanes} lanes: {whole / options.trials * 1e3:.2f} ms a trial, processes' start included; "
            f"{(whole - start) / options.trials * 1e3:.2f} ms without it ({start:.2f} s)"
        )
    print("chains of trials over a decade of lengths, 70 s of work:")
    for lanes in (2, 4):
        trials = chains(random.Random(0), 110)
        outcome = run(trials, lanes=lanes)
        work = sum(planned.flops for planned in trials)
        print(
            f"  {lanes} lanes busy {min(outcome.busy_fraction.values()):.1%} at least until the last trial begins; "
            f"{len(trials)} trials, {work:.1f} s of work in {outcome.seconds:.1f} s, "
            f"{outcome.seconds / (work / lanes):.3f} of the bound"
        )


if __name__ == "__main__":
    main()
