"""SIGKILL at random moments of real training: the same trials, the same losses to the bit, the same checkpoints."""

import filecmp
from pathlib import Path

import pytest
import training_sweep
from killing import account, attempts, numbers, run_with_kills

pytestmark = pytest.mark.chaos


@pytest.mark.parametrize(("kills", "seed"), [(3, 0), pytest.param(20, 1, marks=pytest.mark.slow)])
def test_killed_training_gives_the_same_numbers_to_the_bit(tmp_path: Path, kills: int, seed: int) -> None:
    killed, undisturbed = tmp_path / "killed", tmp_path / "undisturbed"
    hits = run_with_kills("training_sweep.py", killed, kills=kills, seed=seed, between_s=(0.0, 6.0 / kills))
    assert hits >= kills // 2, "too few kills found the sweep running to say anything"
    trials = training_sweep.plan().trials
    account(killed, trials)
    assert attempts(killed) > len(trials)
    assert training_sweep.run(undisturbed)
    assert numbers(killed) == numbers(undisturbed)
    for trial in trials:
        assert tensors_are_equal(killed, undisturbed, trial.id)


def tensors_are_equal(left: Path, right: Path, trial_id: str) -> bool:
    """Compare a trial's last tensors, byte for byte: their file's name holds their hash."""
    (a,), (b,) = ([*(folder / "trials" / trial_id).glob("final/tensors-*")] for folder in (left, right))
    return a.name == b.name and filecmp.cmp(a, b, shallow=False)
