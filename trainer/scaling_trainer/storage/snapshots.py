"""Keeps the checkpoints of an unfinished trial in storage, beside the trial, without making it wait."""

import contextlib
import json
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from scaling_trainer.checkpoint import MANIFEST
from scaling_trainer.storage.errors import StorageError
from scaling_trainer.storage.store import PROGRESS, Snapshot, Store

_LOOK_EVERY_S: Final = 0.25
_PAUSE_PER_UPLOAD: Final = 4.0  # at most a fifth of the time is spent on uploads
_FINAL: Final = "final"  # is committed as it stands, in a moment
_STOP_PATIENCE_S: Final = 120.0


class SnapshotKeeper:
    """Copies each new checkpoint of one attempt to storage, and removes the one before."""

    def __init__(self, store: Store, trial_id: str, attempt: str) -> None:
        """Keep checkpoints under the attempt's name."""
        self._store = store
        self._prefix = f"trials/{trial_id}/{attempt}/{PROGRESS}"
        self._seen: dict[Path, bytes] = {}
        self._kept: Snapshot | None = None
        self._has_complained = False

    @contextlib.contextmanager
    def watching(self, folder: Path) -> Iterator[None]:
        """Keep the checkpoints that appear in folders of `folder` while the context lasts."""
        stop = threading.Event()
        for manifest in folder.glob(f"*/{MANIFEST}"):
            self._seen[manifest] = manifest.read_bytes()  # it was brought from storage
        thread = threading.Thread(target=self._watch, args=(folder, stop), name="snapshots", daemon=True)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join(_STOP_PATIENCE_S)

    def _watch(self, folder: Path, stop: threading.Event) -> None:
        while not stop.wait(_LOOK_EVERY_S):
            begun = time.monotonic()
            if self._keep_new(folder):
                stop.wait(_PAUSE_PER_UPLOAD * (time.monotonic() - begun))

    def _keep_new(self, folder: Path) -> bool:
        try:
            changed = [manifest for manifest in folder.glob(f"*/{MANIFEST}") if self._is_new(manifest)]
            for manifest in changed:
                self._keep(manifest)
            return bool(changed)
        except (OSError, ValueError):  # replaced or removed by the trial between two looks
            return False
        except StorageError as error:
            self._complain(error)
            return True

    def _is_new(self, manifest: Path) -> bool:
        return manifest.parent.name != _FINAL and manifest.read_bytes() != self._seen.get(manifest)

    def _keep(self, manifest: Path) -> None:
        content = manifest.read_bytes()
        snapshot = Snapshot(
            step=int(json.loads(content)["step"]),
            folder=f"{self._prefix}/{int(json.loads(content)['step']):012}/{manifest.parent.name}",
        )
        self._store.save_snapshot(snapshot, manifest.parent)
        self._seen[manifest] = content
        before, self._kept = self._kept, snapshot
        if before is not None and before != snapshot:
            self._store.remove_snapshot(before)

    def _complain(self, error: StorageError) -> None:
        if not self._has_complained:
            sys.stderr.write(f"Checkpoints are not kept in storage for now: {error}\n")
        self._has_complained = True
