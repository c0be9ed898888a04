"""The same experiment by `scaling run` on this machine: what a cluster must come to as well."""

import json
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from experiments import Experiment


@dataclass(frozen=True)
class LocalRun:
    """What `scaling run` found."""

    losses: dict[str, float]
    """Of the points, by trial id."""
    coefficients: dict[str, dict[str, float]]
    """Name of the law, name of the coefficient, value."""
    seconds: float
    """Of the whole command."""


def run_here(experiment: Path, results: Path, *, cores: int | None = None) -> LocalRun:
    """Run an experiment into a folder, on so many cores; on all where None."""
    pinned = () if cores is None else ("taskset", "--cpu-list", f"0-{cores - 1}")
    began = time.monotonic()
    scaling("run", str(experiment), "--out", str(results), prefix=pinned)
    seconds = time.monotonic() - began
    trials = json.loads(scaling("trials", str(results), "-o", "json"))
    laws = json.loads((results / "laws.json").read_text())["laws"]
    return LocalRun(
        losses={trial["trial"]: trial["loss"] for trial in trials if trial["loss"] is not None},
        coefficients={law["name"]: {each["name"]: each["value"] for each in law["coefficients"]} for law in laws},
        seconds=seconds,
    )


def scaling(*words: str, prefix: Sequence[str] = ()) -> str:
    command = [*prefix, str(Path(sys.executable).with_name("scaling")), *words]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=1800).stdout


def assert_same(experiment: Experiment, here: LocalRun) -> None:
    """The losses are equal to the bit, the coefficients to 8 digits, and every planned trial is recorded once."""
    planned = experiment.get()["status"]["plan"]["trials"]
    states = [trial["status"]["state"] for trial in experiment.trials().values()]
    assert states == ["Succeeded"] * planned
    assert experiment.losses() == here.losses
    there = experiment.coefficients()
    assert there.keys() == here.coefficients.keys()
    for name, law in here.coefficients.items():
        assert there[name] == pytest.approx(law, rel=1e-8)
