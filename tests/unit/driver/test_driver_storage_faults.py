"""Storage that is damaged, full or away, under a real driver."""

import json
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from driving import Driving, plan
from scripted_plan import family, trial

from scaling_api.v1alpha1.execution import Execution, Retries
from scaling_api.v1alpha1.status import TrialState

Make = Callable[..., Driving]
SWEEP = plan(family(2))


def swept(driving: Make, **options: Any) -> Driving:
    """A driver that has finished a sweep and was killed."""
    driver = driving(**options).started()
    driver.client.put(SWEEP)
    driver.finished()
    driver.kill()
    return driver


def finished_again(driver: Driving) -> Counter[str]:
    """Start a killed driver again, let it finish, and return the trials by state."""
    driver.started()
    driver.client.put(SWEEP)
    driver.finished()
    return Counter(record.status.state.value for record in driver.client.records().values())


def test_started_again_it_repeats_one_row_a_trial_and_runs_nothing(driving: Make) -> None:
    driver = swept(driving)
    before = {path: path.read_bytes() for path in driver.segments()}
    assert finished_again(driver) == {"Succeeded": 12}
    assert len(driver.client.rows()) == 12
    assert {path: path.read_bytes() for path in before} == before, "each epoch writes only its own segments"
    assert "000002-" in driver.client.state().epoch


@pytest.mark.parametrize("content", [b"", b"{", b"\x00" * 100, b'{"event":"changed"}\n', b"\xff\xfe\n\n"])
def test_damaged_segments_are_left_out_with_a_warning(driving: Make, content: bytes) -> None:
    driver = swept(driving)
    for path in driver.segments()[1:]:
        path.write_bytes(content)
    assert finished_again(driver) == {"Cached": 12}, "the results are found by the trials' files"
    assert "damaged" in driver.log


def test_a_damaged_merged_segment_is_passed_over_for_what_it_stands_for(driving: Make) -> None:
    driver = swept(driving)
    finished_again(driver)
    driver.kill()
    merged = [path for path in driver.segments() if path.name == "000001.merged.jsonl"][-1]
    merged.write_bytes(merged.read_bytes()[:-300])
    assert finished_again(driver) == {"Succeeded": 12}


def test_without_journal_and_files_the_trials_are_run_again(driving: Make, tmp_path: Path) -> None:
    driver = swept(driving)
    losses = {id_: record.status.metrics for id_, record in swept_records(driver).items()}
    shutil.rmtree(tmp_path / "storage")
    assert finished_again(driver) == {"Succeeded": 12}
    assert {id_: record.status.metrics for id_, record in driver.client.records().items()} == losses


def swept_records(driver: Driving) -> dict[str, Any]:
    finished_again(driver)
    records = driver.client.records()
    driver.kill()
    return records


def test_a_parent_whose_files_are_lost_is_run_again_for_its_child(driving: Make, tmp_path: Path) -> None:
    driver = driving(lanes=1).started()
    parent, child = trial("parent"), trial("child", "parent")
    driver.client.put(plan([parent]))
    driver.finished()
    for folder in (tmp_path / "storage/trials" / parent.id, driver.folder / "scratch/parents"):
        shutil.rmtree(folder)
    driver.client.put(plan([parent, child], revision=2))
    driver.finished()
    records = driver.client.records()
    assert records[child.id].status.state is TrialState.SUCCEEDED
    assert records[parent.id].status.state is TrialState.SUCCEEDED
    assert [row.record.status.state.value for row in driver.client.rows() if row.record.spec.id == parent.id] == [
        "Running",
        "Succeeded",
    ], "a finished trial stays finished for whoever reads"


def test_a_full_disk_is_waited_for(driving: Make, small_disk: Path) -> None:
    driver = driving(storage=str(small_disk)).started()
    ballast = small_disk / "ballast"
    fill(ballast)
    driver.client.put(plan([trial("a", steps=1)]))
    driver.wait_until(lambda: driver.client.state().trouble is not None)
    assert "no room" in str(driver.client.state().trouble)
    ballast.unlink()
    driver.wait_until(lambda: driver.client.state().trouble is None)
    driver.client.put(plan([trial("a", steps=1)], revision=2))
    state = driver.finished()
    assert state.stopped is None
    assert [record.status.state.value for record in driver.client.records().values()] == ["Succeeded"]
    assert driver.log.count("no room left in the storage") <= 2, "said once, by journal and trial"


def fill(path: Path) -> None:
    with path.open("wb", buffering=0) as file:
        try:
            while file.write(b"x" * 512):
                pass
        except OSError:
            return


@pytest.fixture
def on_s3(driving: Make, s3_uri: str, s3_server: Any) -> Driving:
    return driving(storage=s3_uri, environment=s3_server.environment)


def test_a_sweep_on_s3(on_s3: Driving) -> None:
    driver = on_s3.started()
    driver.client.put(SWEEP)
    driver.finished()
    driver.kill()
    assert finished_again(driver) == {"Succeeded": 12}
    assert driver.stop(SWEEP) == 0


def test_s3_that_goes_away_delays_rows_and_loses_none(on_s3: Driving, s3_server: Any) -> None:
    driver = on_s3.started()
    trials = [trial(f"t{i}", steps=5) for i in range(8)]
    sweep = plan(trials, "pause=0.05", execution=Execution(retries=Retries(application=0, infrastructure=3)))
    driver.client.put(sweep)
    driver.wait_until(lambda: driver.client.state().last_row >= 2)
    s3_server.stop()
    try:
        driver.client.put(sweep.model_copy(update={"revision": 2, "trials": (*trials, trial("new"))}))
        driver.wait_until(lambda: driver.client.state().trouble is not None)
        assert driver.client.state().phase.value == "Running"
    finally:
        s3_server.start()
    driver.finished()
    assert driver.client.state().trouble is None
    assert driver.log.count("Rows wait until") == 1
    records = driver.client.records()
    assert len(records) == len(trials) + 1
    assert all(record.status.state.value == "Succeeded" for record in records.values())


def test_a_driver_waits_for_storage_when_it_starts(on_s3: Driving, s3_server: Any) -> None:
    s3_server.stop()
    driver = on_s3.start()
    try:
        driver.wait_until(lambda: "cannot be used" in refusal(driver))
        assert refusal(driver).startswith("503")
    finally:
        s3_server.start()
    driver.wait_until(lambda: driver.client.state().phase.value == "Waiting")


def refusal(driver: Driving) -> str:
    from driving import RefusedError

    try:
        driver.client.state()
    except RefusedError as error:
        return f"{error.status} {error.sentence}"
    return ""


def test_many_rows_become_few_segments(driving: Make) -> None:
    driver = driving(run="scripted_trials:do_nothing", lanes=2).started()
    driver.client.put(plan([trial(f"t{i}") for i in range(400)]))
    driver.finished()
    assert len(driver.client.rows()) == 800
    rows = [line for path in driver.segments() for line in path.read_text().splitlines() if '"changed"' in line]
    assert len(rows) >= 800
    assert len(driver.segments()) < 200


def test_segments_of_a_long_epoch_are_merged(tmp_path: Path) -> None:
    script = f"""
import sys; sys.path[:0] = {sys.path!r}
from pathlib import Path
from scripted_plan import ended, trial
from scaling_trainer.driver.journal import ExperimentJournal
from scaling_trainer.storage.files import open_files
from scaling_trainer.storage.store import Store
import scaling_trainer.driver.writer as writer
writer._SHORTEST_INTERVAL_S = writer._LONGEST_INTERVAL_S = 0.0
root = {str(tmp_path)!r}
journal = ExperimentJournal(open_files(root), "experiments/e", store=Store.of(root))
for i in range(600):
    journal.append(ended(f"t{{i}}"))
    journal.drain(10)
assert journal.close(10)
again = ExperimentJournal(open_files(root), "experiments/e", store=Store.of(root))
assert again.feed.length == 600, again.feed.length
assert again.close(10)
"""
    subprocess.run([sys.executable, "-c", script], check=True, timeout=120)
    epochs = sorted((tmp_path / "experiments/e/journal").iterdir())
    merged = [path.name for path in sorted(epochs[0].glob("*.merged.jsonl"))]
    assert merged == ["000001.merged.jsonl", "000257.merged.jsonl", "000513.merged.jsonl"]
    header = json.loads(next(epochs[1].glob("*.merged.jsonl")).read_text().splitlines()[0])
    assert header["through"][epochs[0].name] in {600, 601}
