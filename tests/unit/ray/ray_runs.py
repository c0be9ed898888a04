"""Runs of scripted trials on Ray."""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from scripted_plan import experiment, task

from scaling_api.v1alpha1.execution import Execution
from scaling_api.v1alpha1.training import Training
from scaling_api.v1alpha1.trial import TrialSpec
from scaling_trainer.context import TrialContext
from scaling_trainer.executors.base import Event, Orders, Outcome
from scaling_trainer.executors.ray.connection import Connection
from scaling_trainer.executors.ray.executor import RayExecutor
from scaling_trainer.results import ResultsFolder


@dataclass
class RayRun:
    """One run, and all that it told."""

    connection: Connection
    folder: Path
    trials: Sequence[TrialSpec]
    scripts: Mapping[str, str] | str = ""
    execution: Execution = field(default_factory=Execution)
    cpu_fallback: bool = False
    function: str = "scripted_trials:run_trial"
    on_event: Callable[[Event], None] | None = None
    events: list[Event] = field(default_factory=list)
    executor: RayExecutor | None = None

    def __call__(self) -> Outcome:
        context = TrialContext(
            task=task(self.scripts), training=Training(), corpus_fingerprint="0" * 64, folder=self.folder
        )
        orders = Orders(0, self.trials, self.execution, cpu_fallback=self.cpu_fallback)
        self.executor = RayExecutor(context, connection=self.connection, run=self.function, idle_s=1.0)
        with ResultsFolder.open(self.folder, experiment()) as results:
            return self.executor.run(lambda: orders, ledger=results, on_event=self._tell)

    def of(self, kind: type[Event]) -> list[Event]:
        return [event for event in self.events if isinstance(event, kind)]

    def _tell(self, event: Event) -> None:
        self.events.append(event)
        if self.on_event is not None:
            self.on_event(event)


def lane_processes() -> list[int]:
    """Processes of lanes that this process's Ray has started and that live."""
    mine = processes_with_token(os.environ.get("RAY_AUTH_TOKEN", "-"))
    return [pid for pid in mine if b"scaling_trainer.executors.worker" in _read(pid, "cmdline")]


def processes_with_token(token: str) -> list[int]:
    """Processes that live and were given a Ray token, which is how Ray's own are told from others'."""
    variable = f"RAY_AUTH_TOKEN={token}".encode()
    pids = (int(path.name) for path in Path("/proc").glob("[0-9]*"))
    return [pid for pid in pids if pid != os.getpid() and variable in _read(pid, "environ").split(b"\0")]


def _read(pid: int, name: str) -> bytes:
    try:
        return Path(f"/proc/{pid}/{name}").read_bytes()
    except OSError:
        return b""
