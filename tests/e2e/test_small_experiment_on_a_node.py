"""An experiment on a real node comes to what `scaling run` comes to on the same machine, whatever is killed."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from experiments import Experiment
from local_run import LocalRun, run_here
from ruamel.yaml import YAML

EXAMPLE = Path(__file__).with_name("small.yaml")
Run = Callable[[dict[str, Any]], Experiment]


@pytest.fixture(scope="session")
def here(tmp_path_factory: pytest.TempPathFactory) -> LocalRun:
    return run_here(EXAMPLE, tmp_path_factory.mktemp("here") / "results")


def small() -> dict[str, Any]:
    document: dict[str, Any] = YAML(typ="safe", pure=True).load(EXAMPLE)
    return document


def assert_same(experiment: Experiment, here: LocalRun) -> None:
    """The losses are equal to the bit, the coefficients to 8 digits, and every trial is there once."""
    assert experiment.losses() == here.losses
    there = experiment.coefficients()
    assert there.keys() == here.coefficients.keys()
    for name, law in here.coefficients.items():
        assert there[name] == pytest.approx(law, rel=1e-8)


def test_it_completes_with_the_losses_and_coefficients_of_a_local_run(run: Run, here: LocalRun) -> None:
    experiment = run(small())
    experiment.wait_for("Complete", timeout_s=180)
    assert_same(experiment, here)
    assert not experiment.pods("worker")
