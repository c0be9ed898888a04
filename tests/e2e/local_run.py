"""The same experiment by `scaling run` on this machine: what a cluster must come to as well."""

import json
import subprocess
import sys
import time
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


def run_here(experiment: Path, results: Path) -> LocalRun:
    """Run an experiment into a folder."""
    began = time.monotonic()
    scaling("run", str(experiment), "--out", str(results))
    seconds = time.monotonic() - began
    trials = json.loads(scaling("trials", str(results), "-o", "json"))
    laws = json.loads((results / "laws.json").read_text())["laws"]
    return LocalRun(
        losses={trial["trial"]: trial["loss"] for trial in trials if trial["loss"] is not None},
        coefficients={law["name"]: {each["name"]: each["value"] for each in law["coefficients"]} for law in laws},
        seconds=seconds,
    )


def scaling(*words: str) -> str:
    command = [str(Path(sys.executable).with_name("scaling")), *words]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=600).stdout


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
