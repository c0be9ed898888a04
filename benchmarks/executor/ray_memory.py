"""Memory of the executor and of each process of a local Ray, with idle lanes and while a gang trains."""

import os
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from overhead import TASK, trial

from scaling_api.v1alpha1.execution import Execution
from scaling_api.v1alpha1.experiment import ExperimentSpec, Metadata, ScalingExperiment
from scaling_api.v1alpha1.sweep import Combination, ComputeLevel, Sweep
from scaling_api.v1alpha1.training import Training
from scaling_api.v1alpha1.trial import TrialSpec, TrialStatus
from scaling_trainer.context import TrialContext
from scaling_trainer.executors.base import Event, Orders, TrialProgress
from scaling_trainer.executors.ray.executor import RayExecutor
from scaling_trainer.results import ResultsFolder


def sleep_with_torch(trial: TrialSpec, context: TrialContext) -> TrialStatus:
    """A trial that has imported what training imports."""
    import scaling_trainer.train  # noqa: F401

    context.report(1, 1)
    time.sleep(trial.flops)
    return TrialStatus(state="Succeeded")


def processes(children_of: int) -> list[tuple[str, int, int]]:
    """Return name, RSS and PSS in MiB of every process below one, the largest first."""
    parents, names = {}, {}
    for path in Path("/proc").glob("[0-9]*"):
        try:
            parents[int(path.name)] = int((path / "stat").read_text().rpartition(")")[2].split()[1])
            names[int(path.name)] = (path / "cmdline").read_bytes().replace(b"\0", b" ").decode()
        except (OSError, ValueError):
            continue
    found, below = [], {children_of}
    for _ in range(6):
        below |= {pid for pid, parent in parents.items() if parent in below}
    for pid in below:
        sizes: dict[str, int] = {}
        try:
            for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]:
                key, value, *_ = line.split()
                sizes[key] = int(value) // 1024
        except (OSError, ValueError):
            continue
        name = "the process that uses the executor" if pid == children_of else short(names[pid])
        if name:
            found.append((name, sizes["Rss:"], sizes["Pss:"]))
    return sorted(found, key=lambda row: -row[1])


def short(command: str) -> str:
    words = ("gcs_server", "raylet/raylet", "log_monitor.py", "monitor.py", "dashboard.py", "executors.worker")
    named = next((word.rpartition("/")[2] for word in words if word in command), None)
    return named or (command.split(maxsplit=1)[0].partition(".")[0] if command.startswith("ray::") else "")


def measured(trials: Sequence[TrialSpec], *, after_s: float) -> list[tuple[str, int, int]]:
    """Return what there is so long after the last trial has told its progress."""
    sweep = Sweep(design="List", combinations=(Combination(parameters=1, tokens=1),))
    experiment = ScalingExperiment(metadata=Metadata(name="memory"), spec=ExperimentSpec(task=TASK, sweep=sweep))
    begun: list[float] = []
    found: list[tuple[str, int, int]] = []
    orders = Orders(0, trials, Execution())

    def note(event: Event) -> None:
        if isinstance(event, TrialProgress):
            begun.append(time.monotonic())

    def ask() -> Orders:
        if len(begun) == len(trials) and not found and time.monotonic() > begun[-1] + after_s:
            found.extend(processes(os.getpid()))
        return orders

    with tempfile.TemporaryDirectory() as folder:
        context = TrialContext(task=TASK, training=Training(), corpus_fingerprint="0" * 64, folder=Path(folder))
        executor = RayExecutor(context, lanes=2, run="ray_memory:sleep_with_torch")
        with ResultsFolder.open(Path(folder), experiment) as results:
            executor.run(ask, ledger=results, on_event=note)
        executor.close()
    return found


def show(title: str, rows: Sequence[tuple[str, int, int]]) -> None:
    print(f"{title}\n\n| process | RSS, MiB | PSS, MiB |\n|---|---|---|")
    for name, rss, pss in rows:
        print(f"| {name} | {rss} | {pss} |")
    print(f"| all | {sum(row[1] for row in rows)} | {sum(row[2] for row in rows)} |\n")


def main() -> None:
    show("Two lanes at work:", measured([trial(number, 6.0) for number in range(2)], after_s=3.0))
    gang = trial(0, 6.0).model_copy(update={"compute": ComputeLevel(workers=2)})
    show("A trial of two workers:", measured([gang], after_s=3.0))


if __name__ == "__main__":
    main()
