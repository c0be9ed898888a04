"""A real driver in a process of its own, spoken to over HTTP."""

import http.client
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from scripted_plan import task

from scaling_api.driver_protocol import DriverPhase, DriverPlan, DriverState, Intent, Row, Rows
from scaling_api.v1alpha1.execution import Budget, Execution
from scaling_api.v1alpha1.task import Task
from scaling_api.v1alpha1.training import Training
from scaling_api.v1alpha1.trial import TrialRecord, TrialSpec
from throwaway.ports import free_port

TOKEN: Final = "0123456789abcdef-of-the-tests"
UID: Final = "0f1e2d3c-aaaa-bbbb-cccc-0123456789ab"
PATIENCE_S: Final = 60.0


class RefusedError(Exception):
    def __init__(self, status: int, body: str) -> None:
        self.status = status
        self.sentence = json.loads(body)["error"]
        super().__init__(f"{status} {body}")


@dataclass
class Client:
    """Speaks the protocol."""

    port: int
    token: str | None = TOKEN

    def call(self, method: str, path: str, body: bytes | None = None, *, timeout_s: float = 40.0) -> str:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout_s)
        headers = {} if self.token is None else {"Authorization": f"Bearer {self.token}"}
        try:
            connection.request(method, path, body=body, headers=headers)
            response = connection.getresponse()
            text = response.read().decode()
        finally:
            connection.close()
        if response.status != 200:
            raise RefusedError(response.status, text)
        return text

    def put(self, plan: DriverPlan) -> DriverState:
        body = plan.model_dump_json(exclude_none=True).encode()
        return DriverState.model_validate_json(self.call("PUT", "/v1/plan", body))

    def state(self) -> DriverState:
        return DriverState.model_validate_json(self.call("GET", "/v1/state"))

    def page(self, epoch: str = "", after: int = 0, wait_s: float = 0.0) -> Rows:
        return Rows.model_validate_json(self.call("GET", f"/v1/rows?epoch={epoch}&after={after}&wait={wait_s}"))

    def rows(self) -> list[Row]:
        """All rows of the epoch until now, in order, none missing."""
        page = self.page()
        rows = list(page.rows)
        while len(rows) < page.last_row:
            page = self.page(page.epoch, len(rows))
            rows += page.rows
        assert [row.number for row in rows] == list(range(1, len(rows) + 1))
        return rows

    def records(self) -> dict[str, TrialRecord]:
        """How each trial stands by the rows: the last one counts."""
        return {row.record.spec.id: row.record for row in self.rows()}


@dataclass
class Driving:
    """A driver on a storage; its scripted trials are those of the executor's tests."""

    storage: str
    folder: Path
    lanes: int = 2
    run: str | None = "scripted_trials:run_trial"
    options: Sequence[str] = ()
    environment: dict[str, str] = field(default_factory=dict)
    name: str = "exp"
    uid: str = UID
    port: int = field(default_factory=free_port)
    process: "subprocess.Popen[bytes] | None" = None

    @property
    def client(self) -> Client:
        return Client(self.port)

    @property
    def log(self) -> str:
        return (self.folder / "driver.log").read_text()

    def command(self) -> list[str]:
        token = self.folder / "token"
        self.folder.mkdir(parents=True, exist_ok=True)
        token.write_text(f"{TOKEN}\n")
        words = [sys.executable, "-m", "scaling_trainer.driver", "--storage", self.storage]
        words += ["--experiment", self.uid, "--namespace", "team", "--name", self.name]
        words += ["--token-file", str(token), "--host", "127.0.0.1", "--port", str(self.port)]
        words += ["--scratch", str(self.folder / "scratch"), "--executor", "local", "--lanes", str(self.lanes)]
        return [*words, *(["--run", self.run] if self.run else []), *self.options]

    def start(self) -> "Driving":
        paths = os.pathsep.join(path for path in sys.path if path)
        environment = os.environ | {"PYTHONPATH": paths} | self.environment
        command = self.command()
        with (self.folder / "driver.log").open("ab") as log:
            self.process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
        return self

    def started(self) -> "Driving":
        """Start, and wait until it answers; what does not is killed."""
        self.start()
        try:
            self.wait_until(lambda: self.client.state() is not None)
        except BaseException:
            self.kill()
            raise
        return self

    def child(self) -> int:
        """The process that does the work; the other looks after it."""
        assert self.process is not None
        found = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        return int(found[0])

    def wait_until(self, condition: Callable[[], Any], *, timeout_s: float = PATIENCE_S) -> None:
        deadline = time.monotonic() + timeout_s
        while True:
            try:
                if condition():
                    return
            except (OSError, http.client.HTTPException, RefusedError):
                pass
            assert self.process is not None
            if time.monotonic() > deadline or self.process.poll() is not None:
                raise AssertionError(f"not within {timeout_s} s; the log:\n{self.log}")
            time.sleep(0.02)

    def finished(self, *, timeout_s: float = PATIENCE_S) -> DriverState:
        """Wait until it has nothing to do, and return where it stands."""
        self.wait_until(lambda: self.client.state().phase is DriverPhase.FINISHED, timeout_s=timeout_s)
        return self.client.state()

    def stop(self, plan: DriverPlan) -> int:
        """Tell it to stop, and return its exit status."""
        self.client.put(plan.model_copy(update={"intent": Intent.STOP}))
        return self.ended()

    def ended(self, *, timeout_s: float = 20.0) -> int:
        assert self.process is not None
        return self.process.wait(timeout_s)

    def kill(self) -> None:
        """SIGKILL whatever of it still lives."""
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()

    def segments(self) -> list[Path]:
        """The journal's files, where the storage is a folder."""
        return sorted(Path(self.storage).glob(f"experiments/team-{self.name}-{self.uid}/journal/*/*.jsonl"))


def plan(
    trials: Sequence[TrialSpec],
    script: str = "",
    *,
    revision: int = 1,
    intent: Intent = Intent.RUN,
    execution: Execution | None = None,
    budget: Budget | None = None,
    of: Task | None = None,
    uid: str = UID,
) -> DriverPlan:
    return DriverPlan(
        experiment=uid,
        revision=revision,
        intent=intent,
        task=of or task(script),
        training=Training(),
        trials=tuple(trials),
        execution=execution or Execution(),
        budget=budget or Budget(),
    )
