"""One attempt at a trial on a node: what it needs is brought from storage, what it leaves is kept there.

    <scratch>/corpus/                     prepared once, used by all
    <scratch>/parents/                    finished trials' files, see `cache`
    <scratch>/attempts/<trial>-<attempt>/ what one attempt sees as its experiment's folder; removed at its end

An attempt writes in its own folder alone, so a process that is believed dead and wakes disturbs nobody.
"""

import contextlib
import fcntl
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Final, TypeAlias

from scaling_api.v1alpha1.status import TrialState
from scaling_api.v1alpha1.trial import Checkpoint, TrialSpec, TrialStatus
from scaling_trainer.context import TrialContext
from scaling_trainer.errors import CheckpointCorruptError, CheckpointError, CheckpointMissingError
from scaling_trainer.storage.cache import ParentCache
from scaling_trainer.storage.snapshots import SnapshotKeeper
from scaling_trainer.storage.store import PROGRESS, Committed, Found, Store

FINAL: Final = "final"
_SHRINK_EVERY_S: Final = 30.0

RunTrial: TypeAlias = Callable[[TrialSpec, TrialContext], TrialStatus]


def run_staged(trial: TrialSpec, context: TrialContext, *, store: Store, attempt: str, run: RunTrial) -> TrialStatus:
    """Run a trial on this node with its files in `store`, and return its result once it is committed there.

    Safe to repeat at any time, on any node: a trial with a committed result returns it, one with a checkpoint in
    storage goes on from the newest, and the numbers are those of a run on one machine. While the trial runs its
    checkpoints are kept in storage, each under the attempt's own name.

    Args:
        trial: its parents must have committed results.
        context: `folder` is the node's scratch folder, which lanes share.
        store: of the experiment.
        attempt: a name that no other attempt at this trial has had or will have, such as 000001-0123abcd-1.
        run: runs the trial in the folder that it is given.

    Raises:
        CheckpointMissingError: a parent has no result in storage; the error's folder is that of the parent in
            `context`, as it would be without storage.
        CheckpointCorruptError: a parent's files in storage are damaged; that result counts no more.
        StorageError: storage cannot be used.
        OSError: the scratch folder cannot be used.
        Exception: what `run` raises.
    """
    found = store.find(trial.id)
    if found.committed:
        return found.committed[0].result.status
    cache = ParentCache(context.folder / "parents")
    with _workplace(context.folder, f"{trial.id}-{attempt}") as folder, contextlib.ExitStack() as parents:
        for parent in trial.parents:
            _bring_parent(parent, folder, context, store=store, cache=cache, stack=parents)
        _bring_progress(trial.id, folder, found, store)
        status = _run(trial, context, folder, run, keeper=SnapshotKeeper(store, trial.id, attempt))
        committed = _commit(trial, folder, status, store=store, attempt=attempt)
        if committed is None:
            return status
        cache.keep(committed, folder / "trials" / trial.id)
    cache.shrink(after_s=_SHRINK_EVERY_S)
    return committed.result.status


def _run(
    trial: TrialSpec, context: TrialContext, folder: Path, run: RunTrial, *, keeper: SnapshotKeeper
) -> TrialStatus:
    place = replace(context, folder=folder)
    try:
        with keeper.watching(place.trial_folder(trial.id)):
            return run(trial, place)
    except CheckpointError as error:
        if error.folder.is_relative_to(folder):  # the attempt's folder is gone when this is read
            error.folder = context.folder / error.folder.relative_to(folder)
        raise


def _commit(trial: TrialSpec, folder: Path, status: TrialStatus, *, store: Store, attempt: str) -> Committed | None:
    """Commit a result; None where the trial has none."""
    if status.state not in {TrialState.SUCCEEDED, TrialState.DIVERGED}:
        return None
    own = folder / "trials" / trial.id
    shutil.rmtree(own / PROGRESS, ignore_errors=True)
    kept = own if status.state is TrialState.SUCCEEDED else None
    stored = status.model_copy(update={"checkpoint": _stored_checkpoint(trial.id, folder, status, attempt)})
    return store.commit(trial.id, attempt, kept, status=stored)


def _stored_checkpoint(trial_id: str, folder: Path, status: TrialStatus, attempt: str) -> Checkpoint | None:
    """Return the checkpoint with its path in storage; a trial names it absolutely, or relative to its experiment's."""
    if status.checkpoint is None or status.state is not TrialState.SUCCEEDED:
        return None
    own = folder / "trials" / trial_id
    path = folder / status.checkpoint.path
    if not path.is_relative_to(own):
        return status.checkpoint
    stored = f"trials/{trial_id}/{attempt}/{path.relative_to(own).as_posix()}"
    return status.checkpoint.model_copy(update={"path": stored})


def _bring_parent(
    parent: str, folder: Path, context: TrialContext, *, store: Store, cache: ParentCache, stack: contextlib.ExitStack
) -> None:
    """Let the attempt see its parent's files as long as `stack` is open."""
    found = store.find(parent).committed
    for committed in found:
        lent = stack.enter_context(cache.entry(committed, store))
        if lent is not None:
            (folder / "trials" / parent).symlink_to(lent)
            return
        store.discard(committed)
    missing = CheckpointCorruptError if found else CheckpointMissingError
    what = "what storage has of it is damaged" if found else "storage has no result of it"
    raise missing(
        context.trial_folder(parent) / FINAL,
        f"The trial {parent}, which this one starts from, left no checkpoint that can be used: {what}.",
        remedy="That trial is run again, to the same numbers.",
    )


def _bring_progress(trial_id: str, folder: Path, found: Found, store: Store) -> None:
    """Put the newest checkpoint that is whole where the trial looks for it."""
    own = folder / "trials" / trial_id
    own.mkdir(parents=True)
    for snapshot in found.snapshots:
        if store.fetch_snapshot(snapshot, own / snapshot.name, names=found.names):
            return


@contextlib.contextmanager
def _workplace(scratch: Path, name: str) -> Iterator[Path]:
    """Lend a folder to one attempt; those of attempts whose process has died are removed."""
    attempts, corpus = scratch / "attempts", scratch / "corpus"
    for made in (attempts, corpus):
        made.mkdir(parents=True, exist_ok=True)
    _remove_abandoned(attempts)
    folder = attempts / name
    descriptor = os.open(attempts / f"{name}.lock", os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        (folder / "corpus").symlink_to(corpus.absolute())
        (folder / "trials").mkdir()
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        (attempts / f"{name}.lock").unlink(missing_ok=True)
        os.close(descriptor)


def _remove_abandoned(attempts: Path) -> None:
    for lock in attempts.glob("*.lock"):
        with contextlib.suppress(OSError):  # in use, or removed by another lane
            descriptor = os.open(lock, os.O_RDWR)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(lock.with_suffix(""), ignore_errors=True)
                lock.unlink()
            finally:
                os.close(descriptor)
