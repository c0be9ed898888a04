"""A checkpoint is whole or not there, and damage is named."""

import hashlib
import math
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from scaling_trainer.checkpoint import check_checkpoint, load_checkpoint, save_checkpoint
from scaling_trainer.errors import CheckpointCorruptError, CheckpointMissingError

STATE = {"w": torch.arange(12, dtype=torch.float32).reshape(3, 4), "scalar": torch.tensor(1.5, dtype=torch.float64)}


def saved(folder: Path, *, step: int = 7) -> Path:
    save_checkpoint(folder, STATE, step=step, notes={"losses": [1.0, math.nan], "name": "é"})
    return folder


def test_everything_comes_back(tmp_path: Path) -> None:
    state = STATE | {
        "nan": torch.tensor([math.nan, math.inf]),
        "half": torch.ones(3, dtype=torch.bfloat16),
        "bytes": torch.arange(5, dtype=torch.uint8),
        "empty": torch.zeros(0, 3),
        "transposed": STATE["w"].T,
        "tied": STATE["w"],
        "gradient": torch.ones(2, requires_grad=True),
    }
    save_checkpoint(tmp_path / "a" / "b", state, step=3, notes={"x": [0.1, None, {"y": True}]})
    loaded = load_checkpoint(tmp_path / "a" / "b")
    assert loaded.step == 3
    assert loaded.notes == {"x": [0.1, None, {"y": True}]}
    assert loaded.tensors.keys() == state.keys()
    for name, tensor in state.items():
        assert loaded.tensors[name].dtype == tensor.dtype
        assert torch.equal(loaded.tensors[name].nan_to_num(7.0), tensor.detach().nan_to_num(7.0)), name


def test_loaded_tensors_may_be_written_to(tmp_path: Path) -> None:
    loaded = load_checkpoint(saved(tmp_path / "c"))
    loaded.tensors["w"].add_(1)
    assert loaded.tensors["scalar"] == 1.5


def test_the_same_state_gives_the_same_manifest(tmp_path: Path) -> None:
    first = save_checkpoint(tmp_path / "a", STATE, step=1, notes={})
    second = save_checkpoint(tmp_path / "b", STATE, step=1, notes={})
    assert first.sha256 == second.sha256 == hashlib.sha256((tmp_path / "a/manifest.json").read_bytes()).hexdigest()
    assert first.sha256 != save_checkpoint(tmp_path / "a", STATE, step=2, notes={}).sha256


def test_a_newer_checkpoint_leaves_nothing_of_the_older_or_of_killed_saves(tmp_path: Path) -> None:
    folder = saved(tmp_path / "c")
    (folder / ".tensors-00.safetensors.12.tmp").write_bytes(b"half")
    (folder / "tensors-0123456789abcdef.safetensors").write_bytes(b"never named")
    save_checkpoint(folder, {"other": torch.zeros(2)}, step=9, notes={})
    assert len(list(folder.iterdir())) == 3
    assert load_checkpoint(folder).tensors.keys() == {"other"}


def test_a_missing_checkpoint_is_named(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "none"):
        with pytest.raises(CheckpointMissingError, match=f"no checkpoint in {folder}.*[Rr]un the experiment again"):
            load_checkpoint(folder)
        with pytest.raises(CheckpointMissingError):
            check_checkpoint(folder)


@pytest.mark.parametrize("damage", ["flip", "truncate", "remove", "swap"])
@pytest.mark.parametrize("kind", ["tensors", "notes"])
def test_damage_names_the_file_and_what_to_do(tmp_path: Path, kind: str, damage: str) -> None:
    folder = saved(tmp_path / "c")
    path = next(folder.glob(f"{kind}-*"))
    content = path.read_bytes()
    match damage:
        case "flip":
            path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
        case "truncate":
            path.write_bytes(content[:-1])
        case "remove":
            path.unlink()
        case "swap":
            path.write_bytes(bytes(len(content)))
    with pytest.raises(CheckpointCorruptError) as caught:
        load_checkpoint(folder)
    assert str(path) in str(caught.value)
    assert f"Remove the folder {folder}" in str(caught.value)
    assert caught.value.folder == folder
    with pytest.raises(CheckpointCorruptError):
        check_checkpoint(folder)


@pytest.mark.parametrize("manifest", [b"", b"{", b"[]", b'{"format": 1}', b"\xff\xfe", b'{"format": 2, "step": 1}'])
def test_a_damaged_manifest_is_named(tmp_path: Path, manifest: bytes) -> None:
    folder = saved(tmp_path / "c")
    (folder / "manifest.json").write_bytes(manifest)
    with pytest.raises(CheckpointCorruptError, match=r"manifest\.json"):
        load_checkpoint(folder)
    assert load_checkpoint(saved(folder, step=8)).step == 8


def test_a_manifest_cannot_lead_out_of_its_folder(tmp_path: Path) -> None:
    folder = saved(tmp_path / "c")
    text = (folder / "manifest.json").read_text()
    (folder / "manifest.json").write_text(text.replace("tensors-", "../tensors-", 1))
    with pytest.raises(CheckpointCorruptError):
        load_checkpoint(folder)


def test_a_full_disk_leaves_the_older_checkpoint(small_disk: Path) -> None:
    folder = saved(small_disk / "c")
    with pytest.raises(OSError, match="No space left"):
        save_checkpoint(folder, {"big": torch.zeros(1_000_000)}, step=8, notes={})
    assert load_checkpoint(folder).step == 7
    assert len(list(folder.iterdir())) == 3


def test_a_first_save_on_a_full_disk_leaves_nothing(small_disk: Path) -> None:
    with pytest.raises(OSError, match="No space left"):
        save_checkpoint(small_disk / "c", {"w": torch.zeros(100)}, step=8, notes={"text": "x" * 3_000_000})
    assert list((small_disk / "c").iterdir()) == []


SAVE_FOREVER = """
import sys, torch
from pathlib import Path
from scaling_trainer.checkpoint import save_checkpoint
step = 0
while True:
    save_checkpoint(Path(sys.argv[1]), {"w": torch.full((20000,), float(step))}, step=step, notes={"step": step})
    print(step, flush=True)
    step += 1
"""


@pytest.mark.chaos
def test_kills_leave_the_old_checkpoint_or_the_new(tmp_path: Path) -> None:
    rng = random.Random(0)
    folder = tmp_path / "c"
    for _ in range(3):
        with subprocess.Popen(
            [sys.executable, "-c", SAVE_FOREVER, str(folder)],
            stdout=subprocess.PIPE,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1"},
            text=True,
        ) as process:
            assert process.stdout is not None
            process.stdout.readline()
            time.sleep(rng.random() * 0.2)
            process.send_signal(signal.SIGKILL)
            reported = [int(line) for line in process.stdout.read().split()]
        loaded = load_checkpoint(folder)
        assert loaded.notes == {"step": loaded.step}
        assert torch.equal(loaded.tensors["w"], torch.full((20000,), float(loaded.step)))
        assert not reported or loaded.step in {reported[-1], reported[-1] + 1}


def test_a_megabyte_takes_milliseconds(tmp_path: Path) -> None:
    state = {f"w{i}": torch.randn(128, 128) for i in range(16)}
    seconds = []
    for step in range(10):
        begin = time.perf_counter()
        save_checkpoint(tmp_path / "c", state, step=step, notes={})
        seconds.append(time.perf_counter() - begin)
    assert min(seconds) < 0.05, seconds
