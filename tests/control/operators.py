"""The operator in a process of its own, on a real control plane."""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from throwaway.api_server import ApiServer
from throwaway.ports import free_port

HERE: Final = Path(__file__).parent
PATIENCE_S: Final = 60.0
SETTINGS: Final[dict[str, Any]] = {
    "api": {"requestsPerSecond": 200, "burst": 400},
    "network": {"enabled": True},
    "cpuFallback": True,
}


def wait_until(claim: Callable[[], Any], what: str, *, timeout_s: float = PATIENCE_S, every_s: float = 0.1) -> Any:
    """Return the first true value of the claim."""
    deadline = time.monotonic() + timeout_s
    while True:
        if value := claim():
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"{what}: not within {timeout_s:.0f} s")
        time.sleep(every_s)


@dataclass
class OperatorProcess:
    """One replica of the operator, for one namespace."""

    server: ApiServer
    namespace: str
    folder: Path
    name: str = "operator-0"
    kubeconfig: Path | None = None
    settings: dict[str, Any] = field(default_factory=dict)
    program: tuple[str, ...] = (str(HERE / "operator_process.py"),)
    """What Python runs."""
    process: "subprocess.Popen[bytes] | None" = None

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.heads = self.folder.parent / "heads"
        self.heads.mkdir(exist_ok=True)
        self.log = self.folder / f"{self.name}.log"
        self.probes, self.metrics = free_port(), free_port()

    def start(self) -> "OperatorProcess":
        """Start it, or start it again."""
        assert self.process is None
        path = self.folder / f"{self.name}.json"
        own = {
            "namespaces": [self.namespace],
            "lease": {"namespace": self.namespace},
            "ports": {"probes": self.probes, "metrics": self.metrics},
        }
        path.write_text(json.dumps({**SETTINGS, **own, **self.settings}))
        environment = {
            **self.server.env,
            "KUBECONFIG": str(self.kubeconfig or self.server.kubeconfig),
            "POD_NAME": self.name,
            "SCALING_SETTINGS": str(path),
            "SCALING_TEST_HEADS": str(self.heads),
        }
        with self.log.open("ab") as log:
            self.process = subprocess.Popen([sys.executable, *self.program], env=environment, stdout=log, stderr=log)
        return self

    def kill(self) -> None:
        """SIGKILL it."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def stop(self) -> tuple[int, float]:
        """SIGTERM it; return its exit status and how long it took, in seconds."""
        assert self.process is not None
        began = time.monotonic()
        self.process.terminate()
        status = self.process.wait(30)
        self.process = None
        return status, time.monotonic() - began

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal."""
        assert self.process is not None
        self.process.send_signal(number)

    def wait_ready(self, *, timeout_s: float = 30) -> None:
        """Return once it leads and has read everything."""
        wait_until(lambda: self.page(self.probes, "/readyz")[0] == 200, f"{self.name} ready", timeout_s=timeout_s)

    def page(self, port: int, path: str) -> tuple[int, str]:
        """Return what one of its ports answers; 0 where nobody does."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()
        except OSError as error:
            return 0, str(error)

    def samples(self, prefix: str = "scaling_") -> dict[str, float]:
        """Return its metrics by name and labels."""
        _, text = self.page(self.metrics, "/metrics")
        lines = (line.rpartition(" ") for line in text.splitlines() if line.startswith(prefix))
        return {name: float(value) for name, _, value in lines}

    def writes(self) -> float:
        """Return how many writes it has sent, the Lease's aside."""
        calls = self.samples("scaling_api_requests_total")
        return sum(
            n for name, n in calls.items() if 'verb="POST"' in name or 'verb="PATCH"' in name or "DELETE" in name
        )

    @property
    def rss_mib(self) -> float:
        """Resident memory of the process itself."""
        assert self.process is not None
        text = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(next(line for line in text.splitlines() if line.startswith("VmRSS")).split()[1]) / 1024


@dataclass
class Bed:
    """A namespace with experiments in it."""

    server: ApiServer
    namespace: str
    folder: Path

    def operator(self, name: str = "operator-0", **options: Any) -> OperatorProcess:
        """Return an operator, not yet started."""
        return OperatorProcess(self.server, self.namespace, self.folder / "operators", name=name, **options)

    def apply(self, document: dict[str, Any]) -> None:
        """Create an object or change it."""
        self.server.must("-n", self.namespace, "apply", "--server-side", "-f", "-", document=json.dumps(document))

    def get(self, kind: str, name: str = "") -> Any:
        """Return an object, None where there is none; or all of a kind."""
        words = ["-n", self.namespace, "get", kind, *([name] if name else []), "-o", "json", "--ignore-not-found"]
        text = self.server.must(*words)
        found = json.loads(text) if text.strip() else None
        return found if name else (found or {}).get("items", [])

    def delete(self, kind: str, name: str) -> None:
        """Delete an object without waiting."""
        self.server.must("-n", self.namespace, "delete", kind, name, "--wait=false")

    def patch(self, name: str, change: dict[str, Any]) -> None:
        """Change an experiment's spec."""
        words = ["patch", "scalingexperiment", name, "--type=merge", "-p", json.dumps({"spec": change})]
        self.server.must("-n", self.namespace, *words)

    def status(self, name: str) -> dict[str, Any]:
        """Return an experiment's status."""
        found = self.get("scalingexperiment", name)
        return dict(found.get("status") or {}) if found else {}

    def condition(self, name: str, kind: str) -> tuple[str, str]:
        """Return status and reason of one of an experiment's conditions."""
        for condition in self.status(name).get("conditions", []):
            if condition["type"] == kind:
                return condition["status"], condition["reason"]
        return "", ""

    def trials(self, name: str) -> dict[str, dict[str, Any]]:
        """Return an experiment's ScalingTrials by trial id."""
        labelled = self.server.must(
            "-n", self.namespace, "get", "scalingtrials", "-l", f"scalinglaws.dev/experiment={name}", "-o", "json"
        )
        found = json.loads(labelled)["items"]
        by_id = {trial["spec"]["id"]: trial for trial in found}
        assert len(by_id) == len(found), "a trial has two records"
        return by_id


def experiment(name: str = "sweep", **spec: Any) -> dict[str, Any]:
    """Return an experiment of some 40 trials."""
    sweep = {
        "model": {"parameters": ["10k", "20k", "40k", "80k"]},
        "data": {"tokens": ["0.6M", "0.8M", "1.2M", "1.6M"]},
        "seeds": 1,
        "limits": {"tokensPerParameter": {"min": 0}},
    }
    return {
        "apiVersion": "scalinglaws.dev/v1alpha1",
        "kind": "ScalingExperiment",
        "metadata": {"name": name},
        "spec": {"task": {"language": {"corpus": {"python": {}}, "contextLength": 64}}, "sweep": sweep, **spec},
    }


@contextmanager
def running(operator: OperatorProcess) -> Iterator[OperatorProcess]:
    """Start an operator and kill it at the end."""
    operator.start()
    try:
        operator.wait_ready()
        yield operator
    finally:
        operator.kill()


def environment_with_tests() -> dict[str, str]:
    """Return an environment in which the tests' own modules can be imported."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join([str(HERE), *filter(None, [os.environ.get("PYTHONPATH")])])}
