"""Start a sweep in a process of its own, kill it at random moments, start it again, and account for every trial."""

import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from scaling_api.v1alpha1.trial import TrialSpec
from scaling_trainer.journal import AttemptStarted, epoch_files, read_journal
from scaling_trainer.results import ResultsFolder


def sweep(script: str, folder: Path) -> "subprocess.Popen[bytes]":
    """Start `script` on a results folder, as a process that can be killed."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    return subprocess.Popen([sys.executable, str(Path(__file__).parent / script), str(folder)], env=environment)


def run_with_kills(script: str, folder: Path, *, kills: int, seed: int, between_s: tuple[float, float]) -> int:
    """Run the sweep to its end with `kills` SIGKILLs at random moments of it; return how many hit it running.

    The moments are counted from the first attempt of each run, so that every kill finds trials in work. Half of the
    kills hit the run alone, half its lanes first: the order in which processes die is not ours to choose.
    """
    rng = random.Random(seed)
    hits = 0
    for _ in range(kills):
        process = sweep(script, folder)
        if _first_attempt(process, folder):
            time.sleep(rng.uniform(*between_s))
            if rng.random() < 0.5:
                for pid in children(process.pid):
                    kill(pid)
            hits += process.poll() is None
            kill(process.pid)
        process.wait()
    assert sweep(script, folder).wait(300) == 0
    return hits


def account(folder: Path, trials: Sequence[TrialSpec]) -> None:
    """Assert that no trial was lost, and that none was begun after its result was on disk."""
    journal = read_journal(folder / "journal")
    assert journal.warnings == ()
    results: Counter[str] = Counter()
    for row in journal.rows:
        if isinstance(row, AttemptStarted):
            assert results[row.trial] == 0, f"trial {row.trial} was run again after its result was written"
        elif row.record.status.state.is_finished:
            results[row.record.spec.id] += 1
    assert results == {trial.id: 1 for trial in trials}


def numbers(folder: Path) -> dict[str, object]:
    """How every trial ended, what it measured and where its checkpoint is, by trial id."""
    records = ResultsFolder.read(folder).records()
    return {
        id_: (record.status.state, record.status.metrics, record.status.checkpoint and record.status.checkpoint.path)
        for id_, record in records.items()
    }


def children(pid: int) -> list[int]:
    """Return the processes that a process has started."""
    found: list[int] = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(path.read_text().rpartition(")")[2].split()[1])
        except (OSError, ValueError, IndexError):
            continue
        if parent == pid:
            found.append(int(path.parent.name))
    return found


def kill(pid: int) -> None:
    """SIGKILL a process that this test has started, if it still lives."""
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return


def _first_attempt(process: "subprocess.Popen[bytes]", folder: Path) -> bool:
    """Wait for this run's first attempt; False where the run has ended without one."""
    before = len(epoch_files(folder / "journal"))
    while process.poll() is None:
        files = epoch_files(folder / "journal")
        if len(files) > before and files[-1].stat().st_size > 0:
            return True
        time.sleep(0.01)
    return False


def attempts(folder: Path) -> int:
    """Return how many attempts all runs have begun."""
    return sum(isinstance(row, AttemptStarted) for row in read_journal(folder / "journal").rows)
