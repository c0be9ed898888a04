"""SIGKILL at random moments of a sweep of scripted trials: nothing is lost, nothing is done twice."""

import time
from pathlib import Path

import pytest
from killing import account, attempts, children, kill, numbers, run_with_kills, sweep
from scripted_plan import Run
from scripted_sweep import TRIALS

pytestmark = pytest.mark.chaos


@pytest.mark.parametrize(
    ("kills", "seed"),
    [(5, 0), pytest.param(20, 1, marks=pytest.mark.slow), pytest.param(20, 2, marks=pytest.mark.slow)],
)
def test_killed_sweeps_lose_nothing_and_repeat_nothing(tmp_path: Path, kills: int, seed: int) -> None:
    folder = tmp_path / "killed"
    hits = run_with_kills("scripted_sweep.py", folder, kills=kills, seed=seed, between_s=(0.0, 0.25))
    assert hits >= kills // 2, "too few kills found the sweep running to say anything"
    account(folder, TRIALS)
    assert attempts(folder) > len(TRIALS)
    Run(tmp_path / "undisturbed", TRIALS, lanes=4)()
    assert numbers(folder) == numbers(tmp_path / "undisturbed")


def test_lanes_die_with_a_killed_run(tmp_path: Path) -> None:
    process = sweep("scripted_sweep.py", tmp_path)
    while len(lanes := children(process.pid)) < 2:
        time.sleep(0.01)
    time.sleep(0.5)
    kill(process.pid)
    process.wait()
    deadline = time.monotonic() + 60
    while any(Path(f"/proc/{pid}/cwd").exists() for pid in lanes) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not any(Path(f"/proc/{pid}/cwd").exists() for pid in lanes)
