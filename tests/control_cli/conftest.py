"""The command against a real API server, in a namespace of the test's own."""

import json
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from throwaway.api_server import ApiServer

sys.path[:0] = [str(Path(__file__).parent)]

from kubernetes.config import new_client_from_config  # noqa: E402
from shells import Shell  # noqa: E402
from written import Writer  # noqa: E402


@pytest.fixture
def shell(api_server: ApiServer, namespace: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shell]:
    monkeypatch.chdir(tmp_path)
    found = Shell(namespace, {"KUBECONFIG": str(api_server.kubeconfig), "COLUMNS": "140"}, tmp_path)
    yield found
    for process in found.started:
        if process.poll() is None:
            process.kill()
            process.wait(10)
        for stream in (process.stdout, process.stderr):
            if stream is not None:
                stream.close()


@pytest.fixture
def operator(api_server: ApiServer, namespace: str) -> Iterator[Writer]:
    """Writes what an operator would write."""
    with new_client_from_config(config_file=str(api_server.kubeconfig)) as client:
        yield Writer(client, namespace)


@pytest.fixture
def question(tmp_path: Path) -> Path:
    """The file of an experiment named quickstart."""
    import quickstart_sweep

    path = tmp_path / "quickstart.yaml"
    path.write_text(quickstart_sweep.FILE.read_text())
    return path


@pytest.fixture
def kubeconfig_of(api_server: ApiServer, tmp_path: Path) -> Callable[..., Path]:
    """Write a kubeconfig of the same server with other credentials, or of another address."""

    def write(*, token: str = "", server: str = "") -> Path:
        config = json.loads(api_server.must("config", "view", "--raw", "--minify", "--flatten", "-o", "json"))
        if token:
            config["users"][0]["user"] = {"token": token}
        if server:
            config["clusters"][0]["cluster"]["server"] = server
        path = tmp_path / f"kubeconfig-{len(list(tmp_path.iterdir()))}"
        path.write_text(json.dumps(config))
        return path

    return write


@pytest.fixture
def wait_until() -> Callable[..., None]:
    """Wait for something to become true."""

    def wait(is_so: Callable[[], bool], *, timeout_s: float) -> None:
        until = time.monotonic() + timeout_s
        while not is_so():
            assert time.monotonic() < until, f"not so within {timeout_s} s: {is_so.__name__}"
            time.sleep(0.1)

    return wait
