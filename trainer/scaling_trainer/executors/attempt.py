"""One attempt at a trial in the process that runs it, from its function's name to what it returns or raises.

The same for a local lane's process, one on Ray, and the workers of a gang.
"""

import contextlib
import importlib
import sys
import traceback
from collections.abc import Callable
from typing import TypeAlias

from scaling_api.v1alpha1.trial import Failure, FailureClass, TrialSpec, TrialStatus
from scaling_trainer.context import Alone, TrialContext, World
from scaling_trainer.errors import CheckpointError
from scaling_trainer.executors.failures import failure, failure_of_error
from scaling_trainer.executors.messages import Raised, Returned, Setup, Work

RunTrial: TypeAlias = Callable[[TrialSpec, TrialContext], TrialStatus]


def imported(setup: Setup) -> RunTrial:
    """Return the function that runs trials, with this process's threads set.

    Raises:
        Exception: whatever its module raises when it is imported.
    """
    module, _, function = setup.run.partition(":")
    run: RunTrial = getattr(importlib.import_module(module), function)
    if "torch" in sys.modules:  # the environment's thread counts do not reach every backend
        sys.modules["torch"].set_num_threads(setup.threads)
    return run


def unusable(run: str, error: Exception) -> Failure:
    """Return what it means that a trial's function cannot be imported."""
    hint = (
        "Install the trainer's dependencies: the package's extra `trainer`." if isinstance(error, ImportError) else ""
    )
    message = f"{run}, which runs trials, cannot be imported: {type(error).__name__}: {error}. {hint}".strip()
    return failure(FailureClass.CONFIGURATION, "TrainerUnavailable", message)


def missing_accelerator(setup: Setup) -> Failure | None:
    """Return why trials must not run here: the pool's accelerator is not there, and the CPU must not stand in."""
    if setup.accelerator is None or setup.cpu_fallback:
        return None
    import torch

    if torch.cuda.is_available():
        return None
    return failure(
        FailureClass.INFRASTRUCTURE,
        "AcceleratorMissing",
        f"The pool's nodes should have {setup.accelerator}, and PyTorch finds no such device on this one: its driver "
        "or device plugin is not working, or the image's PyTorch is built without it. No trial is run on the CPU "
        "in its place.",
    )


def device_name(setup: Setup) -> str:
    """Return what to compute on, as torch has it: the pool's accelerator, where it is there."""
    if setup.accelerator is None:
        return "cpu"
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


def run_attempt(
    run: RunTrial, work: Work, *, setup: Setup, report: Callable[[int, int], None], world: World | None = None
) -> Returned | Raised:
    """Run a trial's function and return what came of it; nothing is raised."""
    context = TrialContext(
        task=setup.task,
        training=setup.training,
        corpus_fingerprint=setup.corpus_fingerprint,
        folder=setup.folder,
        checkpoint_interval_s=setup.checkpoint_interval_s,
        report=report,
        world=world or Alone(device_name(setup)),
    )
    try:
        return Returned(status=_checked(_run(run, work, context, store=setup.store)))
    except BaseException as error:  # SystemExit and KeyboardInterrupt of a trial are its failures too
        _print_traceback(work.trial, error)
        checkpoint = error.folder if isinstance(error, CheckpointError) else None
        return Raised(
            failure=failure_of_error(error, folder=setup.folder, is_scratch=setup.store is not None),
            checkpoint=checkpoint,
        )


def _run(run: RunTrial, work: Work, context: TrialContext, *, store: str | None) -> object:
    if store is None or context.world.rank > 0:  # one of a gang reads and writes files, the others hear from it
        return run(work.trial, context)
    from scaling_trainer.storage.staging import run_staged
    from scaling_trainer.storage.store import Store

    return run_staged(work.trial, context, store=Store.of(store), attempt=work.attempt, run=run)


def _checked(status: object) -> TrialStatus:
    """Return `status`, validated again: a function may have changed it, or put NaN into it, behind the model's back."""
    if not isinstance(status, TrialStatus):
        raise TypeError(f"a trial's function must return a TrialStatus, not {type(status).__name__}")
    return TrialStatus.model_validate(status.model_dump())


def _print_traceback(trial: TrialSpec, error: BaseException) -> None:
    with contextlib.suppress(Exception):  # an exception that cannot be shown, or a log on a full disk
        sys.stderr.write(f"trial {trial.id}:\n")
        traceback.print_exception(error)
