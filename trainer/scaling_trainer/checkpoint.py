"""Checkpoints that are either whole or not there.

A checkpoint is a folder of its own:

    manifest.json                    step, and the SHA-256 and size of each file below
    tensors-<hash>.safetensors       the tensors
    notes-<hash>.json                the rest

Data files carry their hash in their name, so a new checkpoint never writes over a file of the old one. The rename of
`manifest.json` is the moment at which the new checkpoint takes the place of the old: whoever is killed, or loses
power, before it leaves the old one, after it the new one. What no manifest names is removed by the next save. The
same state gives the same files and the same manifest.
"""

import contextlib
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, Literal, TypeAlias

from pydantic import Field

from scaling_api.v1alpha1.trial import Checkpoint
from scaling_trainer.durable import make_folder, sync_folder, write_whole
from scaling_trainer.errors import CheckpointCorruptError, CheckpointMissingError
from scaling_trainer.lines import Line

if TYPE_CHECKING:
    import torch

__all__ = [
    "JSON",
    "CheckpointCorruptError",
    "CheckpointMissingError",
    "LoadedCheckpoint",
    "check_checkpoint",
    "load_checkpoint",
    "save_checkpoint",
]

JSON: TypeAlias = "bool | int | float | str | Sequence[JSON] | Mapping[str, JSON] | None"

MANIFEST: Final = "manifest.json"
_SUFFIXES: Final = {"tensors": ".safetensors", "notes": ".json"}
_OURS: Final = ("tensors-*.safetensors", "notes-*.json", ".*.tmp")


@dataclass(frozen=True)
class LoadedCheckpoint:
    """A checkpoint whose files were all found to be what was written."""

    tensors: Mapping[str, "torch.Tensor"]
    """On the CPU, each with its own memory."""
    step: int
    """Training steps done."""
    notes: Mapping[str, JSON]
    """The rest, as it was given."""


class _File(Line):
    name: Annotated[str, Field(pattern=r"^(tensors|notes)-[0-9a-f]{16}\.(safetensors|json)$")]
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    size: int


class _Manifest(Line):
    format: Literal[1] = 1
    step: int
    tensors: _File
    notes: _File


def save_checkpoint(
    folder: Path, tensors: Mapping[str, "torch.Tensor"], *, step: int, notes: Mapping[str, JSON]
) -> Checkpoint:
    """Make `folder` hold this checkpoint and no other, on disk when the call returns.

    The folder belongs to the checkpoint alone. A kill at any moment leaves the older checkpoint or this one. Tensors
    may be on any device, share memory, and be views; NaN and infinity survive in tensors and in notes.

    Args:
        folder: made where it does not exist.
        tensors: by name.
        step: training steps done.
        notes: what is not a tensor, as JSON knows it.

    Returns:
        The folder's path, as given, and the SHA-256 of its manifest.

    Raises:
        OSError: the checkpoint could not be written, such as for want of space; the older one is still there.
    """
    make_folder(folder)
    try:
        contents = _Manifest(
            step=step,
            tensors=_write_hashed(folder, "tensors", _tensor_bytes(tensors)),
            notes=_write_hashed(folder, "notes", json.dumps(notes, indent=1).encode()),
        )
        sync_folder(folder)  # the data files' names must be on disk before a manifest that speaks of them
        manifest = contents.model_dump_json(indent=1).encode()
        write_whole(folder / MANIFEST, manifest)
        sync_folder(folder)
    finally:
        _remove_strays(folder)
    return Checkpoint(path=str(folder), sha256=hashlib.sha256(manifest).hexdigest())


def load_checkpoint(folder: Path) -> LoadedCheckpoint:
    """Return the checkpoint in `folder`, after every file's hash was found right.

    Raises:
        CheckpointMissingError: there is no checkpoint in the folder.
        CheckpointCorruptError: a file is missing, or differs from what was written; the message says which.
    """
    manifest = _read_manifest(folder)
    while True:
        try:
            return _loaded(folder, manifest)
        except CheckpointCorruptError:
            newer = _read_manifest(folder)
            if newer == manifest:
                raise
            manifest = newer  # it was replaced between reading its manifest and its files


def check_checkpoint(folder: Path) -> None:
    """Do nothing if `folder` has a checkpoint whose files' hashes are right. Needs no torch.

    Raises:
        CheckpointMissingError: there is no checkpoint in the folder.
        CheckpointCorruptError: a file is missing, or differs from what was written; the message says which.
    """
    manifest = _read_manifest(folder)
    for file in (manifest.tensors, manifest.notes):
        _checked(folder, file)


def _loaded(folder: Path, manifest: _Manifest) -> LoadedCheckpoint:
    from safetensors import SafetensorError
    from safetensors.torch import load

    tensors, notes = _checked(folder, manifest.tensors), _checked(folder, manifest.notes)
    try:
        return LoadedCheckpoint(load(tensors), manifest.step, json.loads(notes))
    except (SafetensorError, ValueError) as error:
        raise _corrupt(folder, MANIFEST, f"lists files that are no checkpoint ({error})") from error


def _checked(folder: Path, file: _File) -> bytes:
    try:
        content = (folder / file.name).read_bytes()
    except FileNotFoundError:
        raise _corrupt(folder, file.name, "is missing") from None
    if len(content) != file.size:
        raise _corrupt(folder, file.name, f"has {len(content)} bytes, its manifest says {file.size}")
    sha256 = hashlib.sha256(content).hexdigest()
    if sha256 != file.sha256:
        raise _corrupt(folder, file.name, f"has SHA-256 {sha256[:16]}…, its manifest says {file.sha256[:16]}…")
    return content


def _read_manifest(folder: Path) -> _Manifest:
    try:
        return _Manifest.model_validate_json((folder / MANIFEST).read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        raise CheckpointMissingError(
            folder,
            f"There is no checkpoint in {folder}: it was removed, or the trial that leaves it there has not finished.",
            remedy="Run the experiment again: that trial is trained again to the same numbers.",
        ) from None
    except ValueError as error:
        raise _corrupt(folder, MANIFEST, "is not the manifest of a checkpoint") from error


def _corrupt(folder: Path, name: str, what: str) -> CheckpointCorruptError:
    return CheckpointCorruptError(
        folder,
        f"The checkpoint file {folder / name} {what}: it was damaged or changed after it was written.",
        remedy=f"Remove the folder {folder} and run the experiment again: the trial is trained again to the same "
        "numbers.",
    )


def _write_hashed(folder: Path, kind: str, content: bytes) -> _File:
    sha256 = hashlib.sha256(content).hexdigest()
    name = f"{kind}-{sha256[:16]}{_SUFFIXES[kind]}"
    write_whole(folder / name, content)
    return _File(name=name, sha256=sha256, size=len(content))


def _tensor_bytes(tensors: Mapping[str, "torch.Tensor"]) -> bytes:
    from safetensors.torch import save

    packed: dict[str, torch.Tensor] = {}
    storages: set[int] = set()
    for name, tensor in tensors.items():
        own = tensor.detach().cpu().contiguous()
        storage = own.untyped_storage().data_ptr()
        packed[name] = own.clone() if storage in storages else own  # the format has no shared memory
        storages.add(storage)
    return save(packed)


def _remove_strays(folder: Path) -> None:
    """Remove what earlier saves left behind: files that the manifest does not name. Failing to is harmless."""
    named = _named_files(folder)
    for path in (path for pattern in _OURS for path in folder.glob(pattern)):
        if path.name not in named:
            with contextlib.suppress(OSError):
                path.unlink()


def _named_files(folder: Path) -> frozenset[str]:
    try:
        manifest = _read_manifest(folder)
    except (CheckpointMissingError, CheckpointCorruptError):
        return frozenset()
    return frozenset({manifest.tensors.name, manifest.notes.name})
