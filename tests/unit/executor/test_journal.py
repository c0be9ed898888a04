"""The journal loses nothing that was told, and damage never stops a run."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from scripted_plan import ended, started, trial_id

from scaling_api.v1alpha1.status import TrialState
from scaling_trainer.journal import (
    AttemptEnded,
    AttemptStarted,
    JournalWriter,
    attempts_of,
    epoch_file,
    read_journal,
    results_of,
)


def write(folder: Path, epoch: int, *rows: AttemptStarted | AttemptEnded) -> Path:
    path = epoch_file(folder, epoch)
    writer = JournalWriter(path)
    for row in rows:
        writer.append(row)
    writer.close()
    return path


def test_rows_come_back_in_order_over_epochs(tmp_path: Path) -> None:
    first, second, tenth = (started("a"), ended("a")), (started("b"),), (ended("b", loss=1 / 3),)
    write(tmp_path, 10, *tenth)
    write(tmp_path, 2, *second)
    write(tmp_path, 1, *first)
    journal = read_journal(tmp_path)
    assert journal.rows == first + second + tenth
    assert journal.warnings == ()


def test_each_row_is_one_line(tmp_path: Path) -> None:
    path = write(tmp_path, 1, started("a"), ended("a"))
    assert path.read_bytes().count(b"\n") == 2


def test_an_epoch_is_begun_once(tmp_path: Path) -> None:
    write(tmp_path, 1)
    with pytest.raises(FileExistsError):
        JournalWriter(epoch_file(tmp_path, 1))


def test_rows_are_there_before_the_file_is_closed(tmp_path: Path) -> None:
    writer = JournalWriter(epoch_file(tmp_path, 1))
    writer.append(started("a"))
    assert read_journal(tmp_path).rows == (started("a"),)
    writer.close()
    writer.close()


@pytest.mark.parametrize("kept", [1, 40, -2])
def test_a_torn_last_line_is_left_out_with_a_sentence(tmp_path: Path, kept: int) -> None:
    path = write(tmp_path, 1, started("a"), ended("a"))
    first, second = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(first + second[:kept])
    write(tmp_path, 2, started("a", 2))
    journal = read_journal(tmp_path)
    assert journal.rows == (started("a"), started("a", 2))
    (warning,) = journal.warnings
    assert f"last line of {path} was cut off" in warning
    assert "run again" in warning


def test_a_last_line_that_lacks_its_end_of_line_alone_counts(tmp_path: Path) -> None:
    path = write(tmp_path, 1, ended("a"))
    path.write_bytes(path.read_bytes().rstrip(b"\n"))
    assert read_journal(tmp_path).rows == (ended("a"),)


@pytest.mark.parametrize(
    "garbage", [b"garbage", b"{}", b"[1]", b"null", b"\x00" * 100, b"\xff\xfe", b'{"event":"new"}']
)
def test_garbage_is_left_out_with_file_and_line(tmp_path: Path, garbage: bytes) -> None:
    path = write(tmp_path, 1, started("a"), ended("a"), ended("b"))
    lines = path.read_bytes().splitlines()
    path.write_bytes(b"\n".join([lines[0], garbage, lines[2], b"", garbage, lines[1], b""]))
    journal = read_journal(tmp_path)
    assert journal.rows == (started("a"), ended("b"), ended("a"))
    (warning,) = journal.warnings
    assert warning.startswith(f"Lines 2, 5 of {path} are damaged")


def test_a_changed_digit_that_breaks_a_row_is_told(tmp_path: Path) -> None:
    path = write(tmp_path, 1, ended("a"), ended("b"))
    path.write_bytes(path.read_bytes().replace(b'"Succeeded"', b'"Succeded"', 1))
    journal = read_journal(tmp_path)
    assert results_of(journal.rows).keys() == {trial_id("b")}
    assert f"Line 1 of {path} is damaged" in journal.warnings[0]


def test_other_files_are_not_read(tmp_path: Path) -> None:
    (tmp_path / "notes.jsonl").write_text("garbage\n")
    (tmp_path / "0001.jsonl.bak").write_text("garbage\n")
    assert read_journal(tmp_path).warnings == ()
    assert read_journal(tmp_path / "none").rows == ()


def test_the_first_success_is_the_result() -> None:
    rows = [ended("a", loss=0.1), ended("a", loss=0.2), ended("a", TrialState.FAILED)]
    assert results_of(rows)[trial_id("a")].status.metrics.loss == 0.1


def test_a_success_takes_the_place_of_a_failure_and_later_failures_of_earlier() -> None:
    failed = [ended("a", TrialState.FAILED, loss=0.1), ended("a", TrialState.FAILED, loss=0.2)]
    assert results_of(failed)[trial_id("a")].status.metrics.loss == 0.2
    assert results_of([*failed, ended("a", loss=0.3)])[trial_id("a")].status.state is TrialState.SUCCEEDED


@pytest.mark.parametrize("state", [TrialState.PENDING, TrialState.INTERRUPTED, TrialState.RUNNING])
def test_an_attempt_without_result_is_no_result(state: TrialState) -> None:
    assert results_of([ended("a", state)]) == {}


def test_attempts_are_counted_over_epochs() -> None:
    assert attempts_of([started("a"), started("a", 2), ended("a"), started("b")]) == {
        trial_id("a"): 2,
        trial_id("b"): 1,
    }


APPEND_UNTIL_FULL = """
import resource, signal, sys
from pathlib import Path
from scripted_plan import ended, started
from scaling_trainer.journal import JournalWriter
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, resource.RLIM_INFINITY))
writer = JournalWriter(Path(sys.argv[1]))
count = 0
try:
    while True:
        writer.append(ended(str(count)))
        count += 1
except OSError as error:
    print(error.errno, count)
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
writer.append(started("after"))
writer.close()
"""


def test_a_write_that_fails_half_way_is_undone(tmp_path: Path) -> None:
    path = epoch_file(tmp_path, 1)
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *sys.path])}
    done = subprocess.run(
        [sys.executable, "-c", APPEND_UNTIL_FULL, str(path)],
        capture_output=True,
        text=True,
        check=True,
        env=environment,
    )
    count = int(done.stdout.split()[1])
    assert count > 3
    journal = read_journal(tmp_path)
    assert journal.rows == (*(ended(str(i)) for i in range(count)), started("after"))
    assert journal.warnings == ()


def test_a_full_disk_leaves_whole_rows(small_disk: Path) -> None:
    writer = JournalWriter(epoch_file(small_disk, 1))
    count = 0

    def append_forever() -> None:
        nonlocal count
        while True:
            writer.append(ended(str(count)))
            count += 1

    with pytest.raises(OSError, match="No space left"):
        append_forever()
    writer.close()
    journal = read_journal(small_disk)
    assert len(journal.rows) == count > 100
    assert journal.warnings == ()
