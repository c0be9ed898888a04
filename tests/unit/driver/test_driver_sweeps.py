"""A real driver process, from the first plan to the stop."""

import json
import os
import signal
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from driving import UID, Driving, RefusedError, plan
from scripted_plan import family, trial

from scaling_api.driver_protocol import DriverPhase, Intent
from scaling_api.v1alpha1.execution import Execution, Retries
from scaling_api.v1alpha1.status import TrialState
from scaling_api.v1alpha1.task import Corpus, LanguageTask, Task
from scaling_trainer.data.corpus import fingerprint

Make = Callable[..., Driving]


def states(driver: Driving) -> Counter[str]:
    return Counter(record.status.state.value for record in driver.client.records().values())


def test_a_sweep_from_plan_to_stop(driving: Make) -> None:
    driver = driving().started()
    assert driver.client.state().phase is DriverPhase.WAITING
    sweep = plan(family(3))
    assert driver.client.put(sweep).phase is DriverPhase.RUNNING
    state = driver.finished()
    assert state.plan_hash == sweep.hash
    rows = driver.client.rows()
    assert state.last_row == len(rows) == 2 * len(sweep.trials), "a row when each begins, a row when it ends"
    assert states(driver) == {"Succeeded": len(sweep.trials)}
    per_trial = Counter(row.record.spec.id for row in rows)
    assert set(per_trial.values()) == {2}
    assert driver.stop(sweep) == 0


def test_the_same_plan_again_changes_nothing(driving: Make) -> None:
    driver = driving().started()
    sweep = plan(family(1))
    driver.client.put(sweep)
    driver.finished()
    rows = len(driver.client.rows())
    assert driver.client.put(sweep).phase is DriverPhase.FINISHED
    time.sleep(0.5)
    assert len(driver.client.rows()) == rows


def test_plans_grow_and_shrink_in_place(driving: Make) -> None:
    driver = driving(lanes=1).started()
    first, second = family(1), [trial(f"more{i}", steps=10) for i in range(50)]
    driver.client.put(plan(first))
    driver.finished()
    grown = plan([*first, *second], "pause=0.05", revision=2)
    driver.client.put(grown)
    driver.wait_until(lambda: states(driver)["Running"] == 1)
    shrunk = plan([*first, second[-1]], "pause=0.05", revision=3)
    driver.client.put(shrunk)
    driver.finished()
    records = driver.client.records()
    assert all(records[one.id].status.state is TrialState.SUCCEEDED for one in shrunk.trials)
    assert states(driver)["Succeeded"] < 10
    assert states(driver)["Running"] == 0
    attempts = Counter(row.record.spec.id for row in driver.client.rows() if row.record.status.state == "Running")
    assert all(attempts[one.id] == 1 for one in first), "finished trials stay finished"


def test_pause_interrupts_and_running_again_goes_on(driving: Make) -> None:
    driver = driving().started()
    trials = [trial(f"t{i}", steps=60) for i in range(4)]
    running = plan(trials, "pause=0.05 every=1")
    driver.client.put(running)
    driver.wait_until(lambda: states(driver)["Running"] == 2)
    time.sleep(0.8)  # so that there is something to go on from
    paused = plan(trials, "pause=0.05 every=1", intent=Intent.PAUSE)
    driver.client.put(paused)
    driver.wait_until(lambda: driver.client.state().phase is DriverPhase.PAUSED)
    assert states(driver) == {"Interrupted": 2}
    assert driver.client.state().lanes == 0
    driver.client.put(plan(trials, "every=1", revision=2))
    driver.finished()
    assert states(driver) == {"Succeeded": 4}


def test_of_another_experiment_or_an_earlier_revision_is_a_conflict(driving: Make) -> None:
    driver = driving().started()
    driver.client.put(plan(family(1), revision=5))
    for wrong, word in ((plan((), uid="another"), "another"), (plan((), revision=4), "revision 4")):
        with pytest.raises(RefusedError, match="409") as refusal:
            driver.client.put(wrong)
        assert word in refusal.value.sentence
    assert driver.finished().plan_hash == plan(family(1), revision=5).hash


def test_an_impossible_plan_is_refused_whole(driving: Make) -> None:
    driver = driving().started()
    parent, child = trial("parent"), trial("child", "parent")
    language = Task(language=LanguageTask(corpus=Corpus(uri="/nowhere")))
    for wrong in (plan([child, parent]), plan([child]), plan([parent, parent]), plan([parent], of=language)):
        with pytest.raises(RefusedError, match="400"):
            driver.client.put(wrong)
    assert driver.client.state().phase is DriverPhase.WAITING
    assert driver.client.state().plan_hash is None


def test_failures_are_rows_and_too_many_stop_the_experiment(driving: Make) -> None:
    driver = driving(lanes=1).started()
    trials = [trial(f"t{i}") for i in range(6)]
    execution = Execution(retries=Retries(application=1), max_failed_trials=1)
    failing = plan(trials, "fault=raise", execution=execution)
    driver.client.put(failing)
    state = driver.finished()
    assert state.stopped is not None
    assert state.stopped.reason == "TooManyFailedTrials"
    assert states(driver)["Failed"] == 2
    failed = next(id_ for id_, record in driver.client.records().items() if record.status.state is TrialState.FAILED)
    seen = [row.record.status.state.value for row in driver.client.rows() if row.record.spec.id == failed]
    assert seen[:4] == ["Running", "Pending", "Running", "Failed"]
    lenient = plan(trials, execution=Execution(max_failed_trials=5), revision=2)
    driver.client.put(lenient)
    assert driver.finished().stopped is None
    assert states(driver) == {"Failed": 2, "Succeeded": 4}, "what has failed stays so"


def test_results_of_other_experiments_are_taken(driving: Make) -> None:
    sweep = plan(family(2))
    first = driving().started()
    first.client.put(sweep)
    first.finished()
    numbers = {id_: record.status.metrics for id_, record in first.client.records().items()}
    second = driving(uid="second", name="other").started()
    second.client.put(plan([*family(2), trial("new")], uid="second"))
    state = second.finished()
    assert states(second) == {"Cached": len(sweep.trials), "Succeeded": 1}
    records = second.client.records()
    assert {id_: records[id_].status.metrics for id_ in numbers} == numbers
    assert all(records[id_].status.attempts == 0 for id_ in numbers)
    assert state.spent.training_flops == 0.0


def test_the_corpus_is_fingerprinted_for_the_plan(driving: Make, tmp_path: Path) -> None:
    (tmp_path / "corpus.txt").write_text("words and words\n" * 1000)
    corpus = Corpus(uri=str(tmp_path / "corpus.txt"))
    driver = driving().started()
    driver.client.put(plan((), of=Task(language=LanguageTask(corpus=corpus))))
    driver.wait_until(lambda: driver.client.state().corpus_fingerprint is not None)
    assert driver.client.state().corpus_fingerprint == fingerprint(corpus)
    assert driver.client.state().phase is DriverPhase.WAITING
    driver.client.put(plan((), of=Task(language=LanguageTask(corpus=corpus)), intent=Intent.PAUSE))
    driver.wait_until(lambda: driver.client.state().phase is DriverPhase.PAUSED)


def test_a_corpus_that_cannot_be_used_is_told_in_a_sentence(driving: Make) -> None:
    driver = driving().started()
    driver.client.put(plan((), of=Task(language=LanguageTask(corpus=Corpus(uri="/nowhere/at/all")))))
    driver.wait_until(lambda: driver.client.state().stopped is not None)
    stopped = driver.client.state().stopped
    assert stopped is not None
    assert stopped.failure_class == "Configuration"
    assert "/nowhere/at/all" in stopped.message


def test_sigterm_interrupts_writes_the_last_rows_and_exits(driving: Make) -> None:
    driver = driving().started()
    sweep = plan([trial(f"t{i}", steps=1000) for i in range(3)], "pause=0.05")
    driver.client.put(sweep)
    driver.wait_until(lambda: states(driver)["Running"] == 2)
    assert driver.process is not None
    begin = time.monotonic()
    driver.process.send_signal(signal.SIGTERM)
    assert driver.ended() == 143
    assert time.monotonic() - begin < 10
    lines = [json.loads(line) for path in driver.segments() for line in path.read_text().splitlines()]
    ends = [line["record"]["status"]["state"] for line in lines if line["event"] == "changed"]
    assert ends.count("Interrupted") == 2


def test_a_crashed_driver_is_started_again_and_goes_on_by_itself(driving: Make) -> None:
    driver = driving().started()
    sweep = plan([trial(f"t{i}", steps=40) for i in range(6)], "pause=0.02 every=5")
    driver.client.put(sweep)
    driver.wait_until(lambda: states(driver)["Succeeded"] == 2)
    epoch = driver.client.state().epoch
    os.kill(driver.child(), signal.SIGKILL)
    driver.wait_until(lambda: driver.client.state().epoch != epoch)
    driver.finished()
    assert states(driver) == {"Succeeded": 6}
    assert driver.stop(sweep) == 0


def test_a_driver_that_keeps_crashing_is_given_up(driving: Make, tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    (broken / "scaling_trainer").mkdir(parents=True)
    (broken / "sitecustomize.py").write_text("import os, sys\nif 'SCALING_DRIVER_PARENT' in os.environ: os._exit(3)\n")
    driver = driving()
    paths = os.pathsep.join([str(broken), *(path for path in __import__("sys").path if path)])
    driver.environment = {"PYTHONPATH": paths}
    driver.start()
    assert driver.ended(timeout_s=60) == 3
    assert "giving up" in driver.log


@pytest.mark.parametrize(
    ("content", "word"), [(None, "cannot be read"), ("short", "fewer than"), ("  \n", "fewer than")]
)
def test_a_missing_or_guessable_token_is_refused_at_the_start(
    driving: Make, tmp_path: Path, content: str | None, word: str
) -> None:
    token = tmp_path / "other-token"
    if content is not None:
        token.write_text(content)
    driver = driving(options=["--token-file", str(token)]).start()
    assert driver.ended() == 64
    assert word in driver.log


def test_with_nothing_to_do_and_nobody_asking_it_ends(driving: Make) -> None:
    driver = driving(options=["--unanswered-s", "1.5"]).started()
    driver.client.put(plan(family(1)))
    driver.finished()
    for _ in range(4):
        time.sleep(0.5)
        driver.client.state()  # somebody asks
    assert driver.process is not None
    assert driver.process.poll() is None
    assert driver.ended() == 75


def test_the_token_is_nowhere_in_the_log(driving: Make) -> None:
    driver = driving().started()
    driver.client.put(plan(family(1)))
    driver.finished()
    with pytest.raises(RefusedError):
        driver.client.call("GET", "/v1/rows?after=x")
    from driving import TOKEN

    assert TOKEN not in driver.log
    assert UID in driver.log
