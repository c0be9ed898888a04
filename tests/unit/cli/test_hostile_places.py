"""What a hostile or failing machine does to the command: a sentence, never a traceback."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from scaling_api.v1alpha1.task import Corpus
from scaling_cli.errors import CommandError
from scaling_cli.experiments import load_experiment
from scaling_cli.tables.sources import open_rows
from scaling_trainer.data.sources import CorpusError, read_documents
from scaling_trainer.results import ResultsFolder, ResultsFolderError

EXPERIMENT = """\
apiVersion: scalinglaws.dev/v1alpha1
kind: ScalingExperiment
metadata: {name: hostile}
spec:
  task: {language: {corpus: {python: {}}, contextLength: 32}}
  sweep: {model: {parameters: [SIZE]}, data: {tokens: [100k]}}
"""

ROW = {"trial": "0" * 16, "attempt": 1, "lane": 0, "at": "2026-01-01T00:00Z"}


def scaling(*arguments: str, **options: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "scaling_cli", *arguments],
        capture_output=True, text=True, check=False, timeout=120, **options,
    )  # fmt: skip


@pytest.fixture
def experiment(tmp_path: Path) -> Path:
    path = tmp_path / "hostile.yaml"
    path.write_text(EXPERIMENT.replace("SIZE", "10k"))
    return path


def test_a_size_that_no_architecture_has_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "huge.yaml"
    path.write_text(EXPERIMENT.replace("SIZE", "1e17"))
    planned = scaling("plan", str(path))
    assert planned.returncode == 2
    assert "no architecture is planned beyond 1e+13 parameters" in planned.stderr
    assert "Traceback" not in planned.stderr


@pytest.mark.parametrize("digits", ["9" * 5000, "0x" + "f" * 5000, "0" * 100_000])
def test_a_number_without_end_is_text(digits: str, tmp_path: Path) -> None:
    path = tmp_path / "digits.yaml"
    path.write_text(EXPERIMENT.replace("SIZE", digits))
    with pytest.raises(CommandError, match=r"spec\.sweep\.model\.parameters\[0\]"):
        load_experiment(str(path))


def test_a_closed_standard_input_is_said() -> None:
    command = f'exec "{sys.executable}" -m scaling_cli validate - <&-'
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=False, timeout=120)
    assert (done.returncode, done.stderr) == (2, "standard input is closed: name a file instead of -.\n")


def test_the_home_of_nobody_is_no_corpus() -> None:
    with pytest.raises(CorpusError, match="cannot be found"):
        read_documents(Corpus(uri="~no-such-user-at-all/text"))


def test_damaged_gzip_is_said(tmp_path: Path) -> None:
    path = tmp_path / "table.csv.gz"
    path.write_bytes(b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03" + bytes(range(7, 100)))
    with pytest.raises(CommandError, match="gzip file is damaged"), open_rows(str(path)) as rows:
        list(rows.rows(rows.header))


def test_json_nested_without_end_is_said(tmp_path: Path) -> None:
    path = tmp_path / "deep.json"
    path.write_text("[" * 200_000)
    with pytest.raises(CommandError, match="not JSON"), open_rows(str(path)):
        pass


def test_dots_do_not_lead_past_the_guard_of_foreign_folders(tmp_path: Path, experiment: Path) -> None:
    (tmp_path / "mine.txt").write_text("keep")
    with pytest.raises(ResultsFolderError, match="holds other files"):
        ResultsFolder.open(tmp_path / "absent" / "..", load_experiment(str(experiment)).experiment)


def test_a_journal_that_is_removed_during_the_run_is_missed(tmp_path: Path, experiment: Path) -> None:
    from scaling_trainer.journal import AttemptStarted, JournalWriter

    path = tmp_path / "000001.jsonl"
    writer = JournalWriter(path)
    path.unlink()
    writer.append(AttemptStarted.model_validate(ROW))
    with pytest.raises(FileNotFoundError, match="removed during the run"):
        writer.sync()


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small disk needs root")
def test_a_disk_that_fills_with_the_corpus_is_said(tmp_path: Path, experiment: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(disk)], check=False).returncode != 0:
        pytest.skip("this machine does not mount disks")
    try:
        done = scaling("run", str(experiment), "--out", str(disk / "out"))
    finally:
        subprocess.run(["umount", str(disk)], check=True)
    assert done.returncode == 2
    assert "There is no room left" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("redirection", "code", "words"),
    [(">/dev/full", 2, "no space is left"), (">&-", 0, ""), ("| head -c 1 >/dev/null; exit ${PIPESTATUS[0]}", 141, "")],
)
def test_odd_standard_outputs_end_quietly(redirection: str, code: int, words: str, experiment: Path) -> None:
    command = f'"{sys.executable}" -m scaling_cli plan "{experiment}" {redirection}'
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False, timeout=120)
    assert "Traceback" not in done.stderr
    assert words in done.stderr
    assert done.returncode in {code, 0 if code == 141 else code}  # a short plan may fit into the pipe


def test_a_reader_that_has_seen_enough_of_a_run_is_no_trouble_of_the_folder(tmp_path: Path, experiment: Path) -> None:
    command = f'"{sys.executable}" -m scaling_cli run "{experiment}" --out "{tmp_path / "out"}" | true; '
    command += "exit ${PIPESTATUS[0]}"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 141
    assert done.stderr == ""


def test_a_terminal_of_no_width_still_shows_the_plan(experiment: Path) -> None:
    planned = scaling("plan", str(experiment), env={**os.environ, "COLUMNS": "0"})
    assert "10,240" in planned.stdout


def test_a_device_is_no_corpus() -> None:
    with pytest.raises(CorpusError, match="neither a file nor a folder"):
        read_documents(Corpus(uri="/dev/zero"))


def test_a_results_folder_needs_a_name_in_utf8(experiment: Path, tmp_path: Path) -> None:
    out = os.fsdecode(os.fsencode(tmp_path) + b"/out\xff")
    done = scaling("run", str(experiment), "--out", out)
    assert (done.returncode, "must be UTF-8" in done.stderr) == (2, True)


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="there is no /proc here")
def test_a_folder_that_cannot_be_made_keeps_nothing(experiment: Path) -> None:
    done = scaling("run", str(experiment), "--out", "/proc/x")
    assert done.returncode == 2
    assert "/proc/x: no results folder can be made here" in done.stderr
    assert "kept" not in done.stderr
