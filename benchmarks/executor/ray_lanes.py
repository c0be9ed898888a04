"""What Ray adds to a trial that does nothing: on kept lanes, as a Ray Tune trial, as a TorchTrainer of its own.

All three in one Ray of two slots, in turns, so that the machine's other work weighs on them alike.
"""

import argparse
import os
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from overhead import TASK, trial

from scaling_api.v1alpha1.execution import Execution
from scaling_api.v1alpha1.experiment import ExperimentSpec, Metadata, ScalingExperiment
from scaling_api.v1alpha1.sweep import Combination, Sweep
from scaling_api.v1alpha1.training import Training
from scaling_trainer.context import TrialContext
from scaling_trainer.executors.base import Event, Orders
from scaling_trainer.executors.ray.connection import Connection
from scaling_trainer.executors.ray.executor import RayExecutor
from scaling_trainer.results import ResultsFolder

SLOTS = 2


def on_lanes(connection: Connection, trials: int) -> tuple[float, float]:
    """Return the seconds a trial with the lanes' start, and from the first trial's start to the last one's end."""
    sweep = Sweep(design="List", combinations=(Combination(parameters=1, tokens=1),))
    experiment = ScalingExperiment(metadata=Metadata(name="overhead"), spec=ExperimentSpec(task=TASK, sweep=sweep))
    moments: list[float] = []

    def note(_: Event) -> None:
        moments.append(time.monotonic())

    with tempfile.TemporaryDirectory() as folder:
        context = TrialContext(task=TASK, training=Training(), corpus_fingerprint="0" * 64, folder=Path(folder))
        executor = RayExecutor(context, connection=connection, run="overhead:sleep", estimate=lambda _: 1.0)
        orders = Orders(0, [trial(number, 0.0) for number in range(trials)], Execution())
        with ResultsFolder.open(Path(folder), experiment) as results:
            outcome = executor.run(lambda: orders, ledger=results, on_event=note)
    assert len(outcome.records) == trials
    return outcome.seconds / trials, (moments[-1] - moments[0]) / trials


def nothing(_config: dict[str, Any]) -> dict[str, float]:
    return {"loss": 1.0}


def on_tune(trials: int) -> float:
    """Return the seconds a trial of a function trainable."""
    from ray import tune

    with tempfile.TemporaryDirectory() as folder:
        tuner = tune.Tuner(
            tune.with_resources(nothing, {"cpu": 1}),
            tune_config=tune.TuneConfig(num_samples=trials, max_concurrent_trials=SLOTS),
            run_config=tune.RunConfig(storage_path=folder, verbose=0),
        )
        begin = time.monotonic()
        results = tuner.fit()
    assert results.num_terminated == trials
    return (time.monotonic() - begin) / trials


def report_nothing() -> float:
    return 1.0


def on_torch_trainer() -> float:
    """Return the seconds of one run of one worker."""
    from ray.train import RunConfig, ScalingConfig
    from ray.train.torch import TorchTrainer

    with tempfile.TemporaryDirectory() as folder:
        trainer = TorchTrainer(
            report_nothing, scaling_config=ScalingConfig(num_workers=1), run_config=RunConfig(storage_path=folder)
        )
        begin = time.monotonic()
        assert trainer.fit().return_value == 1.0
    return time.monotonic() - begin


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--trials", type=int, default=200)
    parser.add_argument("--tune-trials", type=int, default=6)
    options = parser.parse_args()
    os.environ["TUNE_DISABLE_AUTO_CALLBACK_LOGGERS"] = "1"
    connection = Connection.start(slots=SLOTS)
    seconds: dict[str, list[float]] = {"lanes, start included": [], "lanes": [], "Ray Tune": [], "TorchTrainer": []}
    for _ in range(options.rounds):
        whole, kept = on_lanes(connection, options.trials)
        seconds["lanes, start included"].append(whole)
        seconds["lanes"].append(kept)
        seconds["Ray Tune"].append(on_tune(options.tune_trials))
        seconds["TorchTrainer"].append(on_torch_trainer())
    connection.close()
    show(seconds)


def show(seconds: dict[str, list[float]]) -> None:
    medians = {name: statistics.median(values) for name, values in seconds.items()}
    for name, values in seconds.items():
        rounds = ", ".join(f"{value * 1e3:.1f}" for value in values)
        print(f"{name:>22}: {medians[name] * 1e3:9.2f} ms a trial (rounds: {rounds})")
    for name in ("Ray Tune", "TorchTrainer"):
        print(f"{name} over lanes: {medians[name] / medians['lanes']:,.0f} times")


if __name__ == "__main__":
    main()
