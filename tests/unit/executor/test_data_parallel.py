"""Several workers that share each batch have the loss of one, also after they were killed and resumed."""

import os
import subprocess
import sys
from pathlib import Path

import gang_process
import pytest

from scaling_api.v1alpha1.trial import TrialKind, TrialStatus


def trained(folder: Path, workers: int, *extra: str) -> list[TrialStatus]:
    """Run the small sweep with so many processes, and return how each trial went."""
    folder.mkdir(exist_ok=True)
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    command = [sys.executable, gang_process.__file__]
    gang = [
        subprocess.Popen([*command, str(rank), str(workers), str(folder), *extra], env=environment)
        for rank in range(workers)
    ]
    try:
        codes = [process.wait(120) for process in gang]
    finally:
        for process in gang:
            process.kill()
            process.wait()
    assert codes[0] == 0
    assert extra or not any(codes)
    path = folder / "statuses.jsonl"
    return [TrialStatus.model_validate_json(line) for line in path.read_text().splitlines()] if path.exists() else []


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> list[TrialStatus]:
    return trained(tmp_path_factory.mktemp("alone"), 1)


def assert_same_losses(found: list[TrialStatus], alone: list[TrialStatus]) -> None:
    kinds = [trial.kind for trial in gang_process.trials()]
    assert sorted(kinds) == sorted([TrialKind.TRUNK, TrialKind.DENSE, TrialKind.PIPELINE, TrialKind.CONTROL])
    for one, many in zip(alone, found, strict=True):
        assert many.state is one.state
        assert many.metrics.training_loss == pytest.approx(one.metrics.training_loss or 0.0, rel=1e-6)
        assert (many.metrics.loss is None) == (one.metrics.loss is None)
        assert many.metrics.loss is None or many.metrics.loss == pytest.approx(one.metrics.loss, rel=1e-6)
        assert many.metrics.nonzero_parameters == one.metrics.nonzero_parameters


def test_three_workers_that_share_a_batch_unevenly_have_the_loss_of_one(
    tmp_path: Path, alone: list[TrialStatus]
) -> None:
    assert gang_process.SPEC.training.batch_size % 3 > 0
    assert_same_losses(trained(tmp_path, 3), alone)


@pytest.mark.slow
def test_two_workers_resume_to_the_same_bits(tmp_path: Path, alone: list[TrialStatus]) -> None:
    whole = trained(tmp_path / "whole", 2)
    assert_same_losses(whole, alone)
    assert trained(tmp_path / "killed", 2, "stop") == []
    assert list((tmp_path / "killed").glob("trials/*/progress/manifest.json"))
    resumed = trained(tmp_path / "killed", 2)
    assert [status.metrics for status in resumed] == [status.metrics for status in whole]
