"""What this version trains in each place, and what of an experiment has no meaning there. Needs no torch."""

from collections.abc import Iterator
from enum import Enum

from scaling_api.problems import Problem
from scaling_api.v1alpha1.compression import Pipeline, PruneMethod
from scaling_api.v1alpha1.execution import Head
from scaling_api.v1alpha1.experiment import ExperimentSpec
from scaling_api.v1alpha1.sweep import Strategy
from scaling_api.v1alpha1.training import Precision

TASKS = ("language",)
PRUNE_METHODS = (PruneMethod.GLOBAL_MAGNITUDE, PruneMethod.LAYER_MAGNITUDE)


class Place(Enum):
    """Where trials run."""

    MACHINE = "one machine, by processes"
    RAY = "one machine, by Ray"
    CLUSTER = "a cluster"


def unsupported(spec: ExperimentSpec, *, place: Place = Place.MACHINE) -> tuple[Problem, ...]:
    """Return one problem for each thing that `spec` asks for and cannot have in this place, in the spec's order."""
    return (*_task(spec), *_compression(spec), *_compute(spec, place), *_precision(spec))


def unused(spec: ExperimentSpec, *, place: Place = Place.MACHINE) -> tuple[str, ...]:
    """Return a sentence for each setting that has no use there: on a machine, all that only a cluster can follow."""
    return tuple(_unpriced(spec) if place is Place.CLUSTER else _unused(spec))


def _task(spec: ExperimentSpec) -> Iterator[Problem]:
    if spec.task.name not in TASKS:
        yield Problem(f"spec.task.{spec.task.name}", f"this task cannot be trained yet; {', '.join(TASKS)} can")


def _compression(spec: ExperimentSpec) -> Iterator[Problem]:
    for index, pipeline in enumerate(spec.sweep.compression):
        yield from _stages(pipeline, f"spec.sweep.compression[{index}]")


def _stages(pipeline: Pipeline, path: str) -> Iterator[Problem]:
    for index, stage in enumerate(pipeline.stages):
        here = f"{path}.stages[{index}]"
        if stage.prune and stage.prune.method not in PRUNE_METHODS:
            allowed = ", ".join(PRUNE_METHODS)
            yield Problem(f"{here}.prune.method", f"{stage.prune.method} is not implemented yet; use one of {allowed}")
        if stage.quantize and stage.quantize.activation_bits is not None:
            yield Problem(
                f"{here}.quantize.activationBits",
                "quantized activations are not implemented yet; leave it out to quantize weights alone",
            )
        if stage.quantize and stage.quantize.aware is not None:
            yield Problem(
                f"{here}.quantize.aware",
                "quantization-aware training is not implemented yet; leave it out to quantize after training",
            )
        if stage.distill:
            yield Problem(f"{here}.distill", "distillation is not implemented yet; use prune, finetune, quantize")


def _compute(spec: ExperimentSpec, place: Place) -> Iterator[Problem]:
    for index, level in enumerate(spec.sweep.compute):
        here = f"spec.sweep.compute[{index}]"
        if level.workers > 1 and place is Place.MACHINE:
            yield Problem(
                f"{here}.workers",
                f"the local executor trains each model with one process, found {level.workers}; use --executor ray",
            )
        elif level.workers > spec.training.batch_size:
            yield Problem(
                f"{here}.workers",
                f"{level.workers} workers cannot share a batch of {spec.training.batch_size} (training.batchSize)",
            )
        elif level.workers > 1 and level.strategy is not Strategy.DDP:
            yield Problem(f"{here}.strategy", f"{level.strategy} is not implemented yet; use {Strategy.DDP}")
        elif level.workers == 1 and level.strategy is not Strategy.DDP:
            yield Problem(
                f"{here}.strategy", f"{level.strategy} shares a model among workers, and there is one; leave it out"
            )


def _precision(spec: ExperimentSpec) -> Iterator[Problem]:
    if spec.training.precision is not Precision.FP32:
        yield Problem("spec.training.precision", f"trials are trained in FP32 alone, found {spec.training.precision}")


def _unpriced(spec: ExperimentSpec) -> Iterator[str]:
    if spec.budget.cost is None:
        return
    if not spec.execution.pools:
        yield "spec.budget.cost has an effect only where the administrator's default pool has an hourlyPrice."
    elif all(pool.hourly_price is None for pool in spec.execution.pools):
        yield "spec.budget.cost has no effect here: no pool has an hourlyPrice."


def _unused(spec: ExperimentSpec) -> Iterator[str]:
    execution = spec.execution
    if execution.pools:
        names = ", ".join(pool.name for pool in execution.pools)
        yield f"spec.execution.pools ({names}) is for a cluster: trials run on this machine's CPU, one thread each."
    if spec.budget.cost is not None and all(pool.hourly_price is None for pool in execution.pools):
        yield "spec.budget.cost has no effect here: no pool has an hourlyPrice."
    if execution.head != Head():
        yield "spec.execution.head is for a cluster and has no effect here."
    settings = {
        "env": execution.env,
        "image": execution.image,
        "priorityClassName": execution.priority_class_name,
        "queueName": execution.queue_name,
        "serviceAccountName": execution.service_account_name,
        "storage": execution.storage,
    }
    for name, value in settings.items():
        if value:
            yield f"spec.execution.{name} is for a cluster and has no effect here."
    if spec.ttl_seconds_after_finished is not None:
        yield "spec.ttlSecondsAfterFinished is for a cluster and has no effect here."
