"""Real training under a driver that is killed: the losses of a run on one machine, to the bit."""

import json
import time
from pathlib import Path

import pytest
import training_sweep
from driving import Driving, plan
from killing import kill

from scaling_trainer.data.corpus import fingerprint
from scaling_trainer.results import ResultsFolder

pytestmark = pytest.mark.chaos


def test_losses_are_those_of_the_local_executor_to_the_bit(tmp_path: Path) -> None:
    spec, trials = training_sweep.experiment().spec, training_sweep.plan().trials
    wanted = plan(trials, of=spec.task).model_copy(
        update={"training": spec.training, "corpus_fingerprint": fingerprint(training_sweep.CORPUS)}
    )
    options = ["--checkpoint-interval-s", "0.1"]
    driver = Driving(storage=str(tmp_path / "storage"), folder=tmp_path / "driver", run=None, options=options).started()
    try:
        driver.client.put(wanted)
        driver.wait_until(lambda: driver.client.state().last_row >= 3)
        time.sleep(1.0)
        kill(driver.child())
        driver.finished(timeout_s=120)
        records = driver.client.records()
    finally:
        driver.kill()
    assert training_sweep.run(tmp_path / "folder")
    expected = ResultsFolder.read(tmp_path / "folder").records()
    assert {id_: record.status.metrics for id_, record in records.items()} == {
        id_: record.status.metrics for id_, record in expected.items()
    }
    for id_, record in records.items():
        assert record.status.checkpoint is not None
        stored = tmp_path / "storage" / record.status.checkpoint.path
        assert tensors(stored) == tensors(tmp_path / "folder/trials" / id_ / "final")


def tensors(folder: Path) -> str:
    """The hash of a checkpoint's tensors, by its manifest."""
    found: str = json.loads((folder / "manifest.json").read_bytes())["tensors"]["sha256"]
    return found
