"""Trials that follow a script in place of training: no torch, the same numbers every time, faults on demand.

The experiment's task is custom; its options hold a script for each trial id, or one for `default`: words such as
`pause=0.01 every=3 fault=raise once`. A trial's state is a hash that each step hashes again, so its loss shows
whether any step was lost or done twice.
"""

import contextlib
import errno
import hashlib
import json
import math
import os
import signal
import sys
import time
from pathlib import Path

from scaling_api.v1alpha1.trial import Checkpoint, Timings, TrialMetrics, TrialSpec, TrialStatus
from scaling_trainer.checkpoint import check_checkpoint
from scaling_trainer.context import TrialContext
from scaling_trainer.durable import write_whole


class UserMistakeError(ValueError):
    is_configuration = True


class UnshowableError(Exception):
    def __str__(self) -> str:
        raise RuntimeError("cannot be shown")


def run_trial(trial: TrialSpec, context: TrialContext) -> TrialStatus:
    begin = time.monotonic()
    script = Script(trial, context)
    script.note("begin")
    step, state = script.resume()
    while step < trial.end_step:
        time.sleep(script.pause)
        step, state = step + 1, hashlib.sha256(f"{state}{trial.id}{step}".encode()).hexdigest()
        context.report(step, trial.end_step)
        if step % script.every == 0:
            script.save(step, state)
        if step == script.fault_step:
            script.fault()
    script.save(step, state)
    script.note("end")
    return TrialStatus(
        state=script.words.get("state", "Succeeded"),
        metrics=TrialMetrics(loss=int(state[:12], 16) / 2**48),
        timings=Timings(seconds=time.monotonic() - begin),
        checkpoint=Checkpoint(path=str(script.checkpoint), sha256=state),
    )


class Script:
    def __init__(self, trial: TrialSpec, context: TrialContext) -> None:
        assert context.task.custom is not None
        options = context.task.custom.options
        self.words = dict(
            (word.split("=", 1) if "=" in word else (word, ""))
            for word in options.get(trial.id, options.get("default", "")).split()
        )
        self.trial = trial
        self.root = context.folder
        self.folder = context.trial_folder(trial.id)
        self.checkpoint = self.folder / "checkpoint"
        self.checkpoint.mkdir(parents=True, exist_ok=True)
        self.pause = float(self.words.get("pause", "0"))
        self.every = int(self.words.get("every", "1000000"))
        self.fault_step = int(self.words.get("at", str(trial.end_step))) if "fault" in self.words else -1

    def note(self, what: str) -> None:
        line = f"{what} {self.trial.id} {os.getpid()} {os.environ['OMP_NUM_THREADS']}\n"
        with (self.root / "calls.log").open("a") as file:
            file.write(line)

    def resume(self) -> tuple[int, str]:
        if (self.checkpoint / "manifest.json").exists():
            return self._load(self.checkpoint)
        parents = [self._load(self._parent(id_))[1] for id_ in self.trial.parents]
        return self.trial.start_step, "".join(parents)

    def save(self, step: int, state: str) -> None:
        content = {"tensors": b"", "notes": json.dumps([step, state]).encode()}
        manifest: dict[str, object] = {"format": 1, "step": step}
        for kind, suffix in (("tensors", "safetensors"), ("notes", "json")):
            sha256 = hashlib.sha256(content[kind]).hexdigest()
            name = f"{kind}-{sha256[:16]}.{suffix}"
            write_whole(self.checkpoint / name, content[kind])
            manifest[kind] = {"name": name, "sha256": sha256, "size": len(content[kind])}
        write_whole(self.checkpoint / "manifest.json", json.dumps(manifest).encode())
        if "bytes" in self.words:
            write_whole(self.checkpoint / "ballast", bytes(int(self.words["bytes"])))

    def fault(self) -> None:
        marker = self.folder / "faulted"
        if "once" in self.words and marker.exists():
            return
        marker.touch()
        FAULTS[self.words["fault"]]()

    def _parent(self, id_: str) -> Path:
        return self.root / "trials" / id_ / "checkpoint"

    def _load(self, folder: Path) -> tuple[int, str]:
        check_checkpoint(folder)
        notes = json.loads((folder / "manifest.json").read_bytes())["notes"]["name"]
        step, state = json.loads((folder / notes).read_bytes())
        return step, state


def _raise(error: BaseException) -> None:
    raise error


def _full_disk_by_another_name() -> None:
    try:
        _raise(OSError(errno.ENOSPC, "No space left on device"))
    except OSError as error:
        raise RuntimeError("the writer failed") from error


def _fork_and_die() -> None:
    if os.fork() == 0:
        time.sleep(60)
        os._exit(0)
    os.kill(os.getpid(), signal.SIGKILL)


def _forget_the_pipe() -> None:
    os.closerange(3, 100)
    time.sleep(60)


def _deep_recursion() -> None:
    _deep_recursion()


FAULTS = {
    "raise": lambda: _raise(RuntimeError("the trial's own\nmistake")),
    "mistake": lambda: _raise(UserMistakeError("The corpus has 10 bytes; choose a larger one.")),
    "unshowable": lambda: _raise(UnshowableError()),
    "surrogate": lambda: _raise(ValueError("\udc80 broken")),
    "long": lambda: _raise(ValueError("x" * 5000)),
    "memory": lambda: _raise(MemoryError()),
    "recursion": _deep_recursion,
    "systemexit": lambda: sys.exit(3),
    "interrupt": lambda: _raise(KeyboardInterrupt()),
    "exit": lambda: os._exit(5),
    "kill": lambda: os.kill(os.getpid(), signal.SIGKILL),
    "segfault": lambda: os.kill(os.getpid(), signal.SIGSEGV),
    "fork": _fork_and_die,
    "mute": _forget_the_pipe,
    "full": lambda: _raise(OSError(errno.ENOSPC, "No space left on device")),
    "quota": lambda: _raise(OSError(errno.EDQUOT, "Quota exceeded")),
    "wrapped": _full_disk_by_another_name,
    "print": lambda: sys.stdout.write("printed by a trial\n"),
    "sleep": lambda: time.sleep(60),
}


def return_nonsense(trial: TrialSpec, context: TrialContext) -> object:
    return {"lambda": lambda: None, "trial": trial, "context": context}


def return_nan(trial: TrialSpec, context: TrialContext) -> TrialStatus:
    return TrialStatus.model_construct(state="Succeeded", metrics=TrialMetrics.model_construct(loss=math.nan))


def return_nothing_finished(trial: TrialSpec, context: TrialContext) -> TrialStatus:
    return TrialStatus()


def read_input(trial: TrialSpec, context: TrialContext) -> TrialStatus:
    assert sys.stdin.read() == ""
    return TrialStatus(state="Succeeded")


def do_nothing(trial: TrialSpec, context: TrialContext) -> TrialStatus:
    return TrialStatus(state="Succeeded", metrics=TrialMetrics(loss=1.0))


def calls(folder: Path, what: str) -> list[str]:
    """Return the ids of the trials that have written `what`, in order."""
    with contextlib.suppress(FileNotFoundError):
        lines = (folder / "calls.log").read_text().splitlines()
        return [line.split()[1] for line in lines if line.startswith(what)]
    return []
