"""An experiment on a real node comes to the results that `scaling run` comes to on the same machine."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from experiments import Experiment
from ruamel.yaml import YAML

EXAMPLE = Path(__file__).with_name("small.yaml")


def losses_here(folder: Path) -> dict[str, float]:
    """Run the experiment with `scaling run` and return the trials' losses by id."""
    scaling = [sys.executable, "-m", "scaling_cli"]
    subprocess.run([*scaling, "run", str(EXAMPLE), "--out", str(folder)], check=True, capture_output=True, timeout=600)
    told = subprocess.run(
        [*scaling, "trials", str(folder), "-o", "json"], check=True, capture_output=True, timeout=60
    ).stdout
    return {trial["trial"]: trial["loss"] for trial in json.loads(told) if trial.get("loss") is not None}


def test_a_small_experiment_completes_with_the_losses_of_a_local_run(
    run: Callable[[dict[str, Any]], Experiment], tmp_path: Path
) -> None:
    experiment = run(YAML(typ="safe", pure=True).load(EXAMPLE))
    experiment.wait_for("Complete", timeout_s=300)
    trials = experiment.trials()
    there = {name: trial["status"]["loss"] for name, trial in trials.items() if trial["status"].get("loss") is not None}
    assert there == losses_here(tmp_path / "results")
