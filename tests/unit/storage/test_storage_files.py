"""Whole files under a root, alike in folders and buckets."""

import os
import threading
from pathlib import Path

import pytest

from scaling_trainer.storage.errors import (
    StorageFullError,
    StorageRefusedError,
    StorageUnreachableError,
    storage_error,
)
from scaling_trainer.storage.files import Files, open_files
from scaling_trainer.storage.local_files import LocalFiles
from scaling_trainer.storage.patience import PatientFiles


def test_what_is_written_is_read(uri: str, tmp_path: Path) -> None:
    files = open_files(uri)
    large = tmp_path / "large"
    large.write_bytes(os.urandom(20 << 20))
    files.write("a/b/one.json", b"{}")
    files.write("a/b/one.json", b"[]")
    files.write("a/empty", b"")
    files.write("a/c/large", large)
    assert files.read("a/b/one.json") == b"[]"
    assert files.read("a/empty") == b""
    files.fetch("a/c/large", tmp_path / "fetched")
    assert (tmp_path / "fetched").read_bytes() == large.read_bytes()
    assert files.names("a") == ["a/b/one.json", "a/c/large", "a/empty"]
    assert files.folders("a") == ["b", "c"]
    assert files.names("nowhere") == files.folders("nowhere") == []
    files.remove("a/b/one.json")
    files.remove("a/b/one.json")
    assert files.names("a/b") == []
    for call in (lambda: files.read("a/b/one.json"), lambda: files.fetch("a/x", tmp_path / "x")):
        with pytest.raises(FileNotFoundError):
            call()


def test_names_that_differ_by_a_suffix_are_different_folders(uri: str) -> None:
    files = open_files(uri)
    files.write("trials/ab/x", b"1")
    files.write("trials/abc/x", b"2")
    assert files.names("trials/ab") == ["trials/ab/x"]


def test_unfinished_files_are_not_seen(tmp_path: Path) -> None:
    files = LocalFiles(tmp_path)
    files.write("a/x", b"1")
    (tmp_path / "a/.x.0123").write_bytes(b"torn")
    (tmp_path / ".hidden").mkdir()
    assert files.names("") == ["a/x"]
    assert files.folders("") == ["a"]


def test_a_failed_write_leaves_the_old_file_and_no_other(tmp_path: Path) -> None:
    files = LocalFiles(tmp_path / "root")
    files.write("x", b"old")
    with pytest.raises(FileNotFoundError):
        files.write("x", tmp_path / "missing")
    assert [path.name for path in (tmp_path / "root").iterdir()] == ["x"]
    assert files.read("x") == b"old"


def test_writers_and_removers_of_one_folder_do_not_disturb_each_other(tmp_path: Path) -> None:
    files = LocalFiles(tmp_path)
    errors: list[BaseException] = []

    def churn(number: int) -> None:
        try:
            for _ in range(200):
                files.write(f"trials/a/{number}", b"x")
                files.remove(f"trials/a/{number}")
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=churn, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []


@pytest.mark.parametrize(
    ("uri", "word"), [("", "no address"), ("nosuch://bucket", "nosuch"), ("s3://b/p?no_such_option=1", "option")]
)
def test_roots_that_cannot_be_are_refused_in_a_sentence(uri: str, word: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    with pytest.raises(StorageRefusedError, match=word) as refusal:
        open_files(uri)
    assert str(refusal.value).endswith(".")


def test_credentials_in_a_uri_are_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    assert open_files("s3://bucket/p?access_key=AKIA&secret_key=hush").uri == "s3://bucket/p"


def test_wrong_credentials_and_missing_buckets_need_a_person(s3_uri: str, monkeypatch: pytest.MonkeyPatch) -> None:
    patient = PatientFiles(open_files("s3://no-such-bucket/x"), patience_s=20.0)
    with pytest.raises(StorageRefusedError, match="no-such-bucket"):
        patient.write("a", b"")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
    with pytest.raises(StorageRefusedError, match="credentials"):
        PatientFiles(open_files(s3_uri), patience_s=20.0).names("")


def test_an_unreachable_server_is_waited_for_and_then_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "a")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "b")
    files = PatientFiles(open_files("s3://bucket?endpoint_override=http://127.0.0.1:9&region=x"), patience_s=0.2)
    with pytest.raises(StorageUnreachableError, match="for now") as error:
        files.read("x")
    assert getattr(error.value, "is_infrastructure", False)


class _Flaky(LocalFiles):
    """Fails so many times, then works."""

    failures = 0
    error: type[OSError] = TimeoutError

    def read(self, name: str) -> bytes:
        if self.failures:
            self.failures -= 1
            raise self.error("not now")
        return super().read(name)


def test_patience_outlasts_an_outage(tmp_path: Path) -> None:
    flaky = _Flaky(tmp_path)
    flaky.write("x", b"1")
    flaky.failures = 4
    patient: Files = PatientFiles(flaky, patience_s=30.0)
    assert patient.read("x") == b"1"


def test_patience_ends_when_it_is_told_to(tmp_path: Path) -> None:
    flaky, stopped = _Flaky(tmp_path), threading.Event()
    flaky.failures = 10**6
    threading.Timer(0.3, stopped.set).start()
    with pytest.raises(StorageUnreachableError):
        PatientFiles(flaky, patience_s=60.0, stopped=stopped).read("x")


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (OSError(28, "No space left on device"), StorageFullError),
        (OSError(122, "Quota exceeded"), StorageFullError),
        (PermissionError(13, "Permission denied"), StorageRefusedError),
        (OSError(30, "Read-only file system"), StorageRefusedError),
        (OSError("AWS Error ACCESS_DENIED during PutObject operation"), StorageRefusedError),
        (OSError("AWS Error NETWORK_CONNECTION during ListObjectsV2: curlCode: 7"), StorageUnreachableError),
        (OSError("AWS Error SLOW_DOWN during PutObject"), StorageUnreachableError),
        (OSError(116, "Stale file handle"), StorageUnreachableError),
        (TimeoutError("x" * 5000), StorageUnreachableError),
    ],
)
def test_errors_are_told_apart(error: OSError, kind: type[Exception]) -> None:
    found = storage_error(error, uri="s3://b")
    assert type(found) is kind
    assert len(str(found)) < 800
