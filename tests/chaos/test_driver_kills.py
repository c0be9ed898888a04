"""Drivers that are killed at random moments, and one that is frozen and wakes beside its successor."""

import json
import os
import random
import signal
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from driving import Driving, plan
from killing import children, kill
from scripted_plan import family

from scaling_api.driver_protocol import DriverPlan
from scaling_api.v1alpha1.trial import TrialRecord

pytestmark = pytest.mark.chaos
MOST_CRASHES = 3  # in a row: after more of them the driver would be given up
SCRIPT = "pause=0.02 every=2"


@pytest.fixture
def sweep() -> DriverPlan:
    return plan(family(10, steps=10), SCRIPT)


@pytest.fixture
def driver(tmp_path: Path) -> Iterator[Driving]:
    made = Driving(storage=str(tmp_path / "storage"), folder=tmp_path / "driver", lanes=4)
    yield made
    made.kill()


def undisturbed(tmp_path: Path, sweep: DriverPlan) -> dict[str, TrialRecord]:
    driver = Driving(storage=str(tmp_path / "other"), folder=tmp_path / "undisturbed", lanes=4).started()
    try:
        driver.client.put(sweep)
        driver.finished()
        return driver.client.records()
    finally:
        driver.kill()


def numbers(records: dict[str, TrialRecord]) -> dict[str, object]:
    return {id_: record.status.metrics for id_, record in records.items()}


def ends(driver: Driving) -> Counter[str]:
    """How often each trial was finished by an attempt, over all epochs; merged segments repeat and are left out."""
    found: Counter[str] = Counter()
    for path in driver.segments():
        if ".merged." not in path.name:
            rows = [json.loads(line) for line in path.read_text().splitlines()]
            found.update(
                row["record"]["spec"]["id"]
                for row in rows
                if row["event"] == "changed" and row["record"]["status"]["state"] == "Succeeded"
            )
    return found


@pytest.mark.parametrize(("kills", "seed"), [(4, 0), pytest.param(30, 1, marks=pytest.mark.slow)])
def test_killed_drivers_lose_nothing_and_repeat_nothing(
    driver: Driving, sweep: DriverPlan, tmp_path: Path, kills: int, seed: int
) -> None:
    rng = random.Random(seed)
    seen: dict[str, str] = {}
    driver.started()
    driver.client.put(sweep)
    crashes = 0
    for _ in range(kills):
        time.sleep(rng.uniform(0.0, 0.6))
        remember(seen, driver)
        if crashes < MOST_CRASHES and rng.random() < 0.5:
            kill(driver.child())  # it is started again
            crashes += 1
        else:
            driver.kill()
            driver.started()  # and goes on by itself
            crashes = 0
    driver.finished()
    remember(seen, driver)
    records = driver.client.records()
    assert numbers(records) == numbers(undisturbed(tmp_path, sweep))
    assert set(ends(driver)) <= {trial.id for trial in sweep.trials}
    assert {trial.id: "Succeeded" for trial in sweep.trials} == seen
    committed = list(Path(driver.storage).glob("trials/*/*/result.json"))
    assert len(committed) == len(sweep.trials), "no trial was finished twice"


def remember(seen: dict[str, str], driver: Driving) -> None:
    """Take in all rows, as the operator does: what is finished must stay so, in every epoch."""
    driver.wait_until(lambda: driver.client.state() is not None)
    try:
        records = driver.client.records()
    except OSError:  # it died meanwhile
        return
    for id_, record in records.items():
        assert seen.get(id_) in {None, record.status.state.value}, f"trial {id_} is finished no more"
        if record.status.state.is_finished:
            seen[id_] = "Succeeded"


@pytest.mark.parametrize("moment_s", [0.3, pytest.param(0.8, marks=pytest.mark.slow)])
def test_a_frozen_driver_that_wakes_does_no_harm(sweep: DriverPlan, tmp_path: Path, moment_s: float) -> None:
    first = Driving(storage=str(tmp_path / "storage"), folder=tmp_path / "first", lanes=2)
    second = Driving(storage=str(tmp_path / "storage"), folder=tmp_path / "second", lanes=2)
    try:
        first.started()
        first.client.put(sweep)
        first.wait_until(lambda: first.client.state().last_row >= 2)
        time.sleep(moment_s)
        frozen = [first.child(), *children(first.child())]
        for pid in frozen:
            os.kill(pid, signal.SIGSTOP)
        second.started()
        second.client.put(sweep)
        second.wait_until(lambda: second.client.state().last_row >= 10)
        for pid in frozen:
            os.kill(pid, signal.SIGCONT)
        second.finished()
        records = second.client.records()
        assert numbers(records) == numbers(undisturbed(tmp_path, sweep))
        assert not [path for path in second.segments() if path.stat().st_size == 0]
        assert_read_alike(second, records, tmp_path)
    finally:
        for one in (first, second):
            one.kill()


def assert_read_alike(driver: Driving, records: dict[str, TrialRecord], tmp_path: Path) -> None:
    """A third driver, which reads what both have written, stands as the second does and runs nothing."""
    driver.kill()
    third = Driving(storage=driver.storage, folder=tmp_path / "third").started()
    try:
        assert third.client.records() == records
        assert third.finished().last_row == len(records)
    finally:
        third.kill()


def test_a_woken_driver_leaves_when_it_sees_its_successor(sweep: DriverPlan, tmp_path: Path) -> None:
    first = Driving(storage=str(tmp_path / "storage"), folder=tmp_path / "first").started()
    second = Driving(storage=str(tmp_path / "storage"), folder=tmp_path / "second")
    try:
        pid = first.child()
        os.kill(pid, signal.SIGSTOP)
        second.started()
        second.client.put(sweep)
        time.sleep(11)
        os.kill(pid, signal.SIGCONT)
        assert first.ended(timeout_s=60) == 76
        assert "A later driver" in first.log
        second.finished()
    finally:
        for one in (first, second):
            one.kill()


def test_lanes_die_with_a_killed_driver(driver: Driving, sweep: DriverPlan) -> None:
    driver.started()
    driver.client.put(sweep)
    driver.wait_until(lambda: driver.client.state().lanes >= 2)
    child = driver.child()
    lanes = children(child)
    assert len(lanes) >= 2
    driver.kill()
    deadline = time.monotonic() + 60
    while any(Path(f"/proc/{pid}/cwd").exists() for pid in (child, *lanes)) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not any(Path(f"/proc/{pid}/cwd").exists() for pid in (child, *lanes))
