"""The local executor runs every trial once, in order, on all lanes, and goes on where it stopped."""

import contextlib
import os
import signal
import subprocess
import sys
import threading
from collections import Counter
from itertools import pairwise
from pathlib import Path

import pytest
from scripted_plan import Run, experiment, family, trial, trial_id
from scripted_trials import calls

from scaling_api.v1alpha1.status import TrialState
from scaling_trainer.errors import ConfigurationError
from scaling_trainer.executors.base import Event, TrialEnded, TrialProgress, TrialStarted
from scaling_trainer.journal import AttemptEnded, AttemptStarted, read_journal
from scaling_trainer.results import ResultsFolder


def losses(folder: Path) -> dict[str, float | None]:
    return {id_: record.status.metrics.loss for id_, record in ResultsFolder.read(folder).records().items()}


def test_every_trial_runs_once_after_its_parents(tmp_path: Path) -> None:
    run = Run(tmp_path, family(4))
    outcome = run()
    assert {record.status.state for record in outcome.records.values()} == {TrialState.SUCCEEDED}
    assert outcome.records.keys() == {t.id for t in run.trials} == losses(tmp_path).keys()
    assert (outcome.interrupted, outcome.stopped) == (False, None)
    begun, ended = calls(tmp_path, "begin"), calls(tmp_path, "end")
    assert sorted(begun) == sorted(ended) == sorted(outcome.records)
    for t in run.trials:
        assert all(ended.index(parent) < begun.index(t.id) for parent in t.parents)


def test_events_tell_the_whole_story(tmp_path: Path) -> None:
    run = Run(tmp_path, family(2), "pause=0.1", lanes=2)
    run()
    started = {e.trial.id: e for e in run.events if isinstance(e, TrialStarted)}
    ended = {e.record.spec.id: e.record for e in run.events if isinstance(e, TrialEnded)}
    assert started.keys() == ended.keys() == {t.id for t in run.trials}
    assert {e.lane for e in started.values()} == {0, 1}
    assert not any(e.resumed for e in started.values())
    progress = [e for e in run.events if isinstance(e, TrialProgress)]
    assert progress
    assert all(0 < e.step <= e.last_step == e.trial.end_step for e in progress)
    for e in progress:
        assert run.events.index(started[e.trial.id]) < run.events.index(e)


def test_results_are_on_disk_before_they_are_told(tmp_path: Path) -> None:
    told: list[str] = []

    def check(event: Event) -> None:
        if isinstance(event, TrialEnded):
            told.append(event.record.spec.id)
            assert event.record.spec.id in ResultsFolder.read(tmp_path).records()

    Run(tmp_path, family(1), on_event=check)()
    assert len(told) == 6


def test_finished_trials_are_not_run_again(tmp_path: Path) -> None:
    Run(tmp_path, family(1))()
    before = losses(tmp_path)
    again = Run(tmp_path, family(2))
    outcome = again()
    assert len(outcome.records) == 12
    assert Counter(calls(tmp_path, "begin")).most_common(1)[0][1] == 1
    assert {id_: losses(tmp_path)[id_] for id_ in before} == before
    third = Run(tmp_path, family(2))
    assert third().records == outcome.records
    assert third.events == []


def test_numbers_do_not_depend_on_lanes(tmp_path: Path) -> None:
    for lanes in (1, 2, 3):
        Run(tmp_path / str(lanes), family(2), lanes=lanes)()
    assert losses(tmp_path / "1") == losses(tmp_path / "2") == losses(tmp_path / "3")


def test_processes_are_kept_from_trial_to_trial_with_one_thread_each(tmp_path: Path) -> None:
    Run(tmp_path, [trial(str(i)) for i in range(20)])()
    lines = [line.split() for line in (tmp_path / "calls.log").read_text().splitlines()]
    assert len({pid for _, _, pid, _ in lines}) <= 2
    assert {threads for *_, threads in lines} == {"1"}


def test_no_more_lanes_than_trials(tmp_path: Path) -> None:
    run = Run(tmp_path, [trial("only")], lanes=8)
    outcome = run()
    assert outcome.busy_fraction == {0: 1.0}
    assert list((tmp_path / "logs").iterdir()) == []


def test_an_empty_plan_is_done_at_once(tmp_path: Path) -> None:
    outcome = Run(tmp_path, [])()
    assert (outcome.records, outcome.stopped, outcome.interrupted) == ({}, None, False)


def test_checkpoint_paths_are_relative_to_the_folder(tmp_path: Path) -> None:
    outcome = Run(tmp_path, [trial("a")])()
    checkpoint = outcome.records[trial_id("a")].status.checkpoint
    assert checkpoint is not None
    assert checkpoint.path == f"trials/{trial_id('a')}/checkpoint"


def test_lanes_are_kept_busy(tmp_path: Path) -> None:
    outcome = Run(tmp_path, [trial(str(i), steps=1) for i in range(40)], "pause=0.05")()
    assert outcome.busy_fraction.keys() == {0, 1}
    assert min(outcome.busy_fraction.values()) > 0.7, outcome.busy_fraction


def test_the_long_chain_is_begun_first(tmp_path: Path) -> None:
    short = [trial(f"s{i}", steps=1, flops=1e9) for i in range(10)]
    chain = [trial("c0", steps=1, flops=1e10), trial("c1", "c0", steps=1, flops=1e13)]
    Run(tmp_path, [*short, *chain], lanes=1)()
    assert calls(tmp_path, "begin")[:2] == [trial_id("c0"), trial_id("c1")]


def test_trials_of_several_workers_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="asks for 4 workers"):
        Run(tmp_path, [trial("a", workers=4)])()


def test_the_journal_has_a_start_and_an_end_of_every_attempt(tmp_path: Path) -> None:
    Run(tmp_path, family(1))()
    rows = read_journal(tmp_path / "journal").rows
    assert sum(isinstance(row, AttemptStarted) for row in rows) == 6
    assert sum(isinstance(row, AttemptEnded) for row in rows) == 6
    assert all(a.at <= b.at for a, b in pairwise(rows))


@pytest.mark.parametrize("name", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_polite_signal_ends_the_run_promptly_and_the_next_goes_on(tmp_path: Path, name: signal.Signals) -> None:
    def stop(event: Event) -> None:
        if isinstance(event, TrialProgress) and event.step >= 4 and event.trial.id not in at_work:
            at_work.append(event.trial.id)
            if len(at_work) == 2:
                os.kill(os.getpid(), name)

    at_work: list[str] = []
    trials = [trial("a", steps=400), trial("b", steps=400), trial("c", "a")]
    before = signal.getsignal(signal.SIGINT)
    outcome = Run(tmp_path, trials, "pause=0.1 every=1", on_event=stop)()
    assert outcome.interrupted
    assert outcome.records == {}, "it waited for a trial's end"
    assert signal.getsignal(signal.SIGINT) == before
    ended = [row.record for row in read_journal(tmp_path / "journal").rows if isinstance(row, AttemptEnded)]
    assert {(r.spec.id, r.status.state) for r in ended} == {
        (trial_id("a"), TrialState.INTERRUPTED),
        (trial_id("b"), TrialState.INTERRUPTED),
    }
    again = Run(tmp_path, trials, "every=1")
    outcome = again()
    assert not outcome.interrupted
    started = [e for e in again.events if isinstance(e, TrialStarted)]
    assert {e.trial.id: (e.attempt, e.resumed) for e in started} == {
        trial_id("a"): (2, True),
        trial_id("b"): (2, True),
        trial_id("c"): (1, False),
    }
    Run(tmp_path / "undisturbed", trials)()
    assert losses(tmp_path) == losses(tmp_path / "undisturbed")


def test_it_runs_in_a_thread_too(tmp_path: Path) -> None:
    outcomes = []
    thread = threading.Thread(target=lambda: outcomes.append(Run(tmp_path, family(1))()))
    thread.start()
    thread.join(30)
    assert len(outcomes[0].records) == 6


def test_no_process_is_left_when_the_listener_fails(tmp_path: Path) -> None:
    def fail(event: Event) -> None:
        if isinstance(event, TrialProgress):
            assert len(children()) == 2
            raise LookupError

    with pytest.raises(LookupError):
        Run(tmp_path, [trial("a", steps=1000), trial("b", steps=1000)], "pause=0.05", on_event=fail)()
    assert children() == []
    with ResultsFolder.open(tmp_path, experiment()) as results:
        assert results.records() == {}


def children() -> list[str]:
    """Lanes' processes of this one that live: their last argument is the process they die with."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            words = path.read_bytes().split(b"\0")
            if b"scaling_trainer.executors.worker" in words and words[-2] == str(os.getpid()).encode():
                found.append(path.parent.name)
    return found


def test_a_trial_that_reads_its_input_gets_nothing(tmp_path: Path) -> None:
    outcome = Run(tmp_path, [trial("a"), trial("b")], function="scripted_trials:read_input")()
    assert {r.status.state for r in outcome.records.values()} == {TrialState.SUCCEEDED}


def test_what_trials_print_is_in_the_logs(tmp_path: Path) -> None:
    Run(tmp_path, [trial("a")], "fault=print")()
    (log,) = (tmp_path / "logs").iterdir()
    assert log.read_text() == "printed by a trial\n"


def test_two_hundred_trivial_trials_take_little(tmp_path: Path) -> None:
    run = Run(tmp_path, [trial(str(i), steps=0) for i in range(200)], function="scripted_trials:do_nothing")
    outcome = run()
    assert len(outcome.records) == 200
    assert outcome.seconds < 200 * 0.010, f"{outcome.seconds / 200 * 1e3:.1f} ms a trial"


SLOW_LISTENER = """
import sys, time
from pathlib import Path
from scaling_trainer.executors.base import TrialProgress
from scripted_plan import Run, trial

def listen(event):
    if isinstance(event, TrialProgress):
        print("listening", flush=True)
        time.sleep(30)

Run(Path(sys.argv[1]), [trial("a", steps=1000)], "pause=0.05", on_event=listen)()
"""


def test_a_second_ctrl_c_kills(tmp_path: Path) -> None:
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    command = [sys.executable, "-c", SLOW_LISTENER, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.send_signal(signal.SIGINT)
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(0.5)
        process.send_signal(signal.SIGINT)
        assert process.wait(2) == -signal.SIGINT
