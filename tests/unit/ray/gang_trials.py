"""Scripted trials of several workers, and an experiment small enough to train twice."""

import os
import signal
import time
from collections.abc import Sequence
from pathlib import Path

import sympy
from scripted_trials import FAULTS
from scripted_trials import run_trial as run_alone

from scaling_api.v1alpha1.experiment import ExperimentSpec, Metadata, ScalingExperiment
from scaling_api.v1alpha1.sweep import ComputeLevel, DataAxis, ModelAxis, Sweep
from scaling_api.v1alpha1.task import Corpus, LanguageTask, Task
from scaling_api.v1alpha1.training import Training
from scaling_api.v1alpha1.trial import TrialSpec, TrialStatus
from scaling_laws.design.plan import plan_trials
from scaling_trainer.context import TrialContext
from scaling_trainer.data.corpus import fingerprint

TRIALS = 2
"""A trunk and its branch: fresh weights, and weights and moments that only the first worker can read."""
CORPUS = Corpus(uri=str(Path(sympy.__file__).parent / "core"))


def ddp_experiment(workers: int) -> ScalingExperiment:
    """Batches of 8 windows, which two workers share evenly."""
    spec = ExperimentSpec(
        task=Task(language=LanguageTask(corpus=CORPUS, context_length=32)),
        sweep=Sweep(
            model=ModelAxis(parameters=(10_000,)),
            data=DataAxis(tokens=(10_000,)),
            compute=(ComputeLevel(workers=workers),),
        ),
        training=Training(evaluation_sequences=64, warmup_steps=5),
    )
    return ScalingExperiment(metadata=Metadata(name="pairs"), spec=spec)


def plan_of(experiment: ScalingExperiment) -> tuple[Sequence[TrialSpec], str]:
    found = fingerprint(CORPUS)
    return plan_trials(experiment.spec, corpus_fingerprint=found).trials, found


def run_trial(trial: TrialSpec, context: TrialContext) -> TrialStatus:
    """The first worker follows the script; the second takes on its faults, and waits to be ended."""
    world = context.world
    FAULTS["kill_second"] = lambda: time.sleep(0.3)
    FAULTS["raise_second"] = lambda: time.sleep(0.3)
    told = world.told(context.trial_folder(trial.id).joinpath("faulted").exists() if world.rank == 0 else None)
    if world.rank == 0:
        status = run_alone(trial, context)
        world.told(None)
        return status
    assert context.task.custom is not None
    script = context.task.custom.options.get(trial.id, "")
    while "second" in script and not told:
        if context.trial_folder(trial.id).joinpath("faulted").exists():
            if "kill" in script:
                os.kill(os.getpid(), signal.SIGKILL)
            raise ValueError("the second worker's own mistake")
        time.sleep(0.01)
    world.told(None)
    return TrialStatus()
