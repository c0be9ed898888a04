"""How many lanes, how busy they were, and whose fault a failure is."""

import errno
import os
import signal
from pathlib import Path

import pytest

from scaling_api.v1alpha1.trial import FailureClass
from scaling_trainer.errors import ConfigurationError, DiskFullError
from scaling_trainer.executors.busy import BusyTimes
from scaling_trainer.executors.cores import usable_cores
from scaling_trainer.executors.failures import failure_of_error, failure_of_exit
from scaling_trainer.probe import gemm_gflops
from scaling_trainer.storage.errors import storage_error
from scaling_trainer.storage.local_files import LocalFiles
from scaling_trainer.storage.patience import PatientFiles


def cgroups(root: Path, membership: str, files: dict[str, str]) -> Path:
    (root / "proc/self").mkdir(parents=True)
    (root / "proc/self/cgroup").write_text(membership)
    for name, content in files.items():
        path = root / "sys/fs/cgroup" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    return root


def v1(folder: str, quota: str, period: str = "100000") -> dict[str, str]:
    return {f"{folder}/cpu.cfs_quota_us": quota, f"{folder}/cpu.cfs_period_us": period}


V2 = "0::/kubepods/pod1\n"
V1 = "12:memory:/docker/x\n4:cpu,cpuacct:/docker/x\n0::/\n"


@pytest.mark.parametrize(
    ("membership", "files", "cores"),
    [
        ("", {}, 8),
        (V2, {"kubepods/pod1/cpu.max": "max 100000\n"}, 8),
        (V2, {"kubepods/pod1/cpu.max": "200000 100000\n"}, 2),
        (V2, {"kubepods/pod1/cpu.max": "150000 100000\n"}, 2),
        (V2, {"kubepods/pod1/cpu.max": "10000 100000\n"}, 1),
        (V2, {"kubepods/pod1/cpu.max": "max 100000\n", "kubepods/cpu.max": "300000 100000\n"}, 3),
        ("0::/\n", {"cpu.max": "400000 100000\n"}, 4),
        ("0::/../..\n", {"cpu.max": "400000 100000\n"}, 4),
        (V2, {"cpu.max": "1600000 100000\n"}, 8),
        (V2, {"cpu.max": "nonsense"}, 8),
        (V1, v1("cpu,cpuacct/docker/x", "-1"), 8),
        (V1, v1("cpu,cpuacct/docker/x", "250000"), 3),
        (V1, v1("cpu,cpuacct", "250000"), 3),
        (V1, v1("cpu/docker/x", "100000"), 1),
        (V1, v1("cpu/docker/x", "100000", "0"), 8),
    ],
)
def test_quotas_of_cgroups_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, membership: str, files: dict[str, str], cores: int
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)))
    assert usable_cores(cgroups(tmp_path, membership, files)) == cores


def test_affinity_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {3, 5})
    assert usable_cores(tmp_path) == 2


def test_this_machine_has_a_core() -> None:
    assert 1 <= usable_cores() <= len(os.sched_getaffinity(0))


def test_busy_time_is_counted_to_the_last_begin() -> None:
    now = 0.0
    busy = BusyTimes(lambda: now)
    assert busy.fractions() == {}
    busy.begin(0)
    assert busy.fractions() == {0: 1.0}
    now = 2.0
    busy.begin(1)
    now = 6.0
    assert busy.end(0) == 6.0
    now = 10.0
    busy.begin(0)
    now = 90.0
    busy.end(0)
    assert busy.fractions() == {0: 0.6, 1: 0.8}


class NotShownError(Exception):
    def __str__(self) -> str:
        raise RuntimeError


def chained(cause: BaseException) -> BaseException:
    error = RuntimeError("writing failed")
    error.__cause__ = cause
    return error


FULL = OSError(errno.ENOSPC, "No space left on device")
APPLICATION, CONFIGURATION, INFRASTRUCTURE = (
    FailureClass.APPLICATION,
    FailureClass.CONFIGURATION,
    FailureClass.INFRASTRUCTURE,
)


@pytest.mark.parametrize(
    ("error", "failure_class", "reason", "words"),
    [
        (FULL, CONFIGURATION, "DiskFull", "Free some space"),
        (OSError(errno.EDQUOT, "quota"), CONFIGURATION, "DiskFull", "finished trials are kept"),
        (chained(FULL), CONFIGURATION, "DiskFull", "MiB are free"),
        (ConfigurationError("Choose a larger corpus."), CONFIGURATION, "Configuration", "Choose a larger corpus."),
        (chained(ConfigurationError("only the cause")), APPLICATION, "RuntimeError", "writing failed"),
        (MemoryError(), APPLICATION, "OutOfMemory", "ran out of memory"),
        (OSError(errno.EIO, "broken"), APPLICATION, "OSError", "broken"),
        (KeyError("k"), APPLICATION, "KeyError", "KeyError: 'k'"),
        (SystemExit(3), APPLICATION, "SystemExit", "3"),
        (NotShownError(), APPLICATION, "NotShownError", "NotShownError"),
        (ValueError("\udc80"), APPLICATION, "ValueError", "?"),
        (ValueError("x" * 9999), APPLICATION, "ValueError", "…"),
        (ValueError("first\nlast"), APPLICATION, "ValueError", "last"),
    ],
)
def test_whose_fault_an_exception_is(
    tmp_path: Path, error: BaseException, failure_class: FailureClass, reason: str, words: str
) -> None:
    failure = failure_of_error(error, folder=tmp_path)
    assert (failure.failure_class, failure.reason) == (failure_class, reason)
    assert words in failure.message


def test_full_storage_is_named_and_not_the_scratch_folder(tmp_path: Path) -> None:
    full = storage_error(FULL, uri="/results")
    full.__cause__ = FULL
    failure = failure_of_error(full, folder=tmp_path, is_scratch=True)
    assert (failure.failure_class, failure.reason) == (CONFIGURATION, "StorageFull")
    assert "the storage /results" in failure.message
    assert str(tmp_path) not in failure.message


def test_a_full_scratch_folder_is_a_nodes_and_no_place_of_results(tmp_path: Path) -> None:
    failure = failure_of_error(FULL, folder=tmp_path, is_scratch=True)
    assert (failure.failure_class, failure.reason) == (CONFIGURATION, "DiskFull")
    assert f"no room left in {tmp_path}, where a node keeps" in failure.message
    assert "ephemeralStorage" in failure.message


class FullNode(LocalFiles):
    def fetch(self, name: str, target: Path) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")


def test_what_is_fetched_fills_the_node_and_not_the_storage(tmp_path: Path) -> None:
    files = PatientFiles(FullNode(tmp_path / "results"), patience_s=0)
    with pytest.raises(DiskFullError, match="where a node keeps") as caught:
        files.fetch("a", tmp_path / "scratch" / "a")
    assert failure_of_error(caught.value, folder=tmp_path, is_scratch=True).reason == "DiskFull"


@pytest.mark.parametrize(
    ("code", "failure_class", "reason"),
    [
        (-signal.SIGKILL, INFRASTRUCTURE, "WorkerKilled"),
        (-signal.SIGTERM, INFRASTRUCTURE, "WorkerKilled"),
        (-signal.SIGHUP, INFRASTRUCTURE, "WorkerKilled"),
        (-signal.SIGSEGV, APPLICATION, "WorkerCrashed"),
        (-signal.SIGABRT, APPLICATION, "WorkerCrashed"),
        (-signal.SIGBUS, APPLICATION, "WorkerCrashed"),
        (-40, APPLICATION, "WorkerCrashed"),
        (1, APPLICATION, "WorkerExited"),
        (0, APPLICATION, "WorkerExited"),
    ],
)
def test_whose_fault_an_end_of_a_process_is(
    tmp_path: Path, code: int, failure_class: FailureClass, reason: str
) -> None:
    failure = failure_of_exit(code, log=tmp_path / "log")
    assert (failure.failure_class, failure.reason) == (failure_class, reason)


def test_the_machines_speed_is_measured_without_torch_here() -> None:
    assert 1 < gemm_gflops(1) < 10_000
