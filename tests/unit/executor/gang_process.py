"""One worker of a gang: `python gang_process.py RANK SIZE FOLDER [STOP]` runs a small sweep's trials, one by one.

The first worker writes each trial's status to FOLDER/statuses.jsonl. With STOP, it ends after the second checkpoint of
the first trial, as a killed one would.
"""

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import sympy
import torch
from torch import distributed

from scaling_api.v1alpha1.compression import Finetune, Pipeline, Prune, Stage
from scaling_api.v1alpha1.experiment import ExperimentSpec
from scaling_api.v1alpha1.sweep import ComputeLevel, DataAxis, ModelAxis, Sweep
from scaling_api.v1alpha1.task import Corpus, LanguageTask, Task
from scaling_api.v1alpha1.training import Training
from scaling_api.v1alpha1.trial import Checkpoint, TrialSpec
from scaling_laws.design.plan import plan_trials
from scaling_trainer import train
from scaling_trainer.checkpoint import save_checkpoint
from scaling_trainer.context import ALONE, TrialContext
from scaling_trainer.data.corpus import fingerprint
from scaling_trainer.parallel.ddp import DataParallel

CORPUS = Corpus(uri=str(Path(sympy.__file__).parent / "core"))
PIPELINES = (
    Pipeline(name="dense"),
    Pipeline(name="p50", stages=(Stage(prune=Prune(sparsity=0.5)), Stage(finetune=Finetune(fraction=0.3)))),
)
SPEC = ExperimentSpec(
    task=Task(language=LanguageTask(corpus=CORPUS, context_length=32)),
    sweep=Sweep(
        model=ModelAxis(parameters=(10_000,)),
        data=DataAxis(tokens=(25_600,)),
        compression=PIPELINES,
        compute=(ComputeLevel(workers=2),),
    ),
    training=Training(evaluation_sequences=64, warmup_steps=5),
)


def trials() -> Sequence[TrialSpec]:
    """A trunk, its branch, a pipeline that trains on, and its control."""
    return plan_trials(SPEC, corpus_fingerprint=fingerprint(CORPUS)).trials


def context(folder: Path) -> TrialContext:
    return TrialContext(SPEC.task, SPEC.training, fingerprint(CORPUS), folder, checkpoint_interval_s=0.0)


def stop_after(checkpoints: int) -> None:
    saved: list[object] = []

    def save(*arguments: Any, **options: Any) -> Checkpoint:
        saved.append(save_checkpoint(*arguments, **options))
        if len(saved) == checkpoints:
            os._exit(0)
        return saved[-1]

    train.save_checkpoint = save


def main() -> None:
    rank, size, folder = int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3])
    is_stopped = len(sys.argv) > 4
    torch.set_num_threads(1)
    place = context(folder)
    world = ALONE
    if size > 1:
        distributed.init_process_group("gloo", f"file://{folder}/group-{is_stopped}", rank=rank, world_size=size)
        world = DataParallel(rank, size, torch.device("cpu"))

    if is_stopped and rank == 0:
        stop_after(2)
    for trial in trials():
        place = TrialContext(place.task, place.training, place.corpus_fingerprint, folder, 0.0, world=world)
        status = train.run_trial(trial, place)
        if rank == 0:
            with (folder / "statuses.jsonl").open("a") as file:
                file.write(status.model_dump_json() + "\n")
    if size > 1:
        distributed.barrier()
        os._exit(0)


if __name__ == "__main__":
    main()
