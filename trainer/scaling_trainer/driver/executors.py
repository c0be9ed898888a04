"""The executor that a plan's trials run on."""

from collections.abc import Callable
from dataclasses import dataclass

from scaling_api.driver_protocol import DriverPlan
from scaling_api.v1alpha1.task import Task
from scaling_api.v1alpha1.training import Training
from scaling_trainer.context import TrialContext
from scaling_trainer.driver.options import OWN_RAY, Options
from scaling_trainer.executors.base import Executor

NO_CORPUS = "0" * 64
"""In place of a fingerprint, for tasks without a corpus."""


@dataclass(frozen=True)
class Bench:
    """What all trials of an executor share: a plan with another needs another executor."""

    task: Task
    training: Training
    corpus_fingerprint: str

    @classmethod
    def of(cls, plan: DriverPlan) -> "Bench":
        """Return what a plan's trials share."""
        return cls(plan.task, plan.training, plan.corpus_fingerprint or NO_CORPUS)


MakeExecutor = Callable[[Bench], Executor]


def executor_maker(options: Options) -> MakeExecutor:
    """Return what makes executors as the options say."""

    def make(bench: Bench) -> Executor:
        context = TrialContext(
            task=bench.task,
            training=bench.training,
            corpus_fingerprint=bench.corpus_fingerprint,
            folder=options.scratch,
            checkpoint_interval_s=options.checkpoint_interval_s,
        )
        return _on_ray(context, options) if options.executor == "ray" else _local(context, options)

    return make


def _on_ray(context: TrialContext, options: Options) -> Executor:
    from scaling_trainer.executors.local import RUN_TRIAL
    from scaling_trainer.executors.ray.executor import RayExecutor

    address = None if options.ray_address == OWN_RAY else options.ray_address
    return RayExecutor(
        context, address=address, lanes=options.lanes, run=options.run or RUN_TRIAL, store=options.storage
    )


def _local(context: TrialContext, options: Options) -> Executor:
    from scaling_trainer.executors.local import RUN_TRIAL, LocalExecutor

    return LocalExecutor(context, lanes=options.lanes, run=options.run or RUN_TRIAL, store=options.storage)
