"""The same experiment by `scaling run` on this machine: what a cluster must come to as well."""

import json
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path


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
