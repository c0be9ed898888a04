"""SIGKILL of the operator at random moments of a sweep: no trial lost, none doubled, the status right within 10 s.

The API server, the driver and its protocol are the real ones; trials run by a script.
"""

import os
import random
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from throwaway.api_server import ApiServer

sys.path.insert(0, str(Path(__file__).parents[1] / "control"))

from beds import made_bed
from kuberay_stand_in import KubeRayStandIn, kuberay
from operators import Bed, OperatorProcess, experiment, wait_until

RIGHT_WITHIN_S = 60.0 if "PYTEST_XDIST_WORKER" in os.environ else 10.0  # beside other tests, or alone
EVERY = 5
"""After so many kills it is looked at whether the status comes right."""


@pytest.fixture
def bed(control_plane: ApiServer, namespace: str, tmp_path: Path) -> Bed:
    return made_bed(control_plane, namespace, tmp_path)


def sweep(*, sizes: int, tokens: int, seeds: int) -> dict[str, Any]:
    """A sweep of 2·sizes·tokens·seeds trials."""
    return {
        "model": {"parameters": [10_000 * 2**n for n in range(sizes)]},
        "data": {"tokens": [600_000 + 200_000 * n for n in range(tokens)]},
        "seeds": seeds,
        "limits": {"tokensPerParameter": {"min": 0}},
    }


def test_a_few_kills(bed: Bed) -> None:
    kill_at_random(bed, sweep(sizes=4, tokens=3, seeds=1), kills=5, trial_s=0.4, seed=1)


@pytest.mark.slow
@pytest.mark.chaos
def test_fifty_kills_over_a_hundred_trials(bed: Bed) -> None:
    kill_at_random(bed, sweep(sizes=5, tokens=5, seeds=2), kills=50, trial_s=2.5, seed=2)


def kill_at_random(bed: Bed, wanted: dict[str, Any], *, kills: int, trial_s: float, seed: int) -> None:
    rng = random.Random(seed)
    operator = bed.operator()
    with kuberay(bed, trial_s=trial_s, lanes=2) as rays:
        try:
            bed.apply(experiment(sweep=wanted))
            for number in range(1, kills + 1):
                operator.start()
                time.sleep(rng.uniform(0.3, 4.0))
                operator.kill()
                if number % EVERY == 0:
                    comes_right(bed, operator, rays)
            ends_while_the_operator_is_away(bed, operator, rays, trials=plan_size(wanted))
        finally:
            operator.kill()
        accounts(bed, rays)


def comes_right(bed: Bed, operator: OperatorProcess, rays: KubeRayStandIn) -> None:
    """Start the operator: what had finished by then is recorded and counted within ten seconds."""
    done = set(rays.trials_run())
    began = time.monotonic()
    operator.start()
    while missing := done - recorded(bed) or counted(bed) < len(done):
        assert time.monotonic() - began < RIGHT_WITHIN_S, f"the status is not right: {missing}"
        time.sleep(0.2)
    operator.kill()


def ends_while_the_operator_is_away(bed: Bed, operator: OperatorProcess, rays: KubeRayStandIn, *, trials: int) -> None:
    """Let the sweep end with nobody there; an operator that comes then finds all rows within ten seconds."""
    if not rays.trials_run():  # no operator lived long enough to send the driver its plan
        operator.start()
        wait_until(rays.trials_run, "the first trial ran")
        operator.kill()
    wait_until(lambda: len(rays.trials_run()) >= trials, "all trials have run", timeout_s=400)
    time.sleep(1)
    operator.start()
    wait_until(lambda: counted(bed) == trials, "all trials are counted", timeout_s=RIGHT_WITHIN_S)
    wait_until(lambda: bed.condition("sweep", "Complete")[0] == "True", "it is complete", timeout_s=60)


def plan_size(wanted: dict[str, Any]) -> int:
    return 2 * len(wanted["model"]["parameters"]) * len(wanted["data"]["tokens"]) * int(wanted["seeds"])


def recorded(bed: Bed) -> set[str]:
    return {id_ for id_, trial in bed.trials("sweep").items() if trial["status"]["state"] == "Succeeded"}


def counted(bed: Bed) -> int:
    return int(bed.status("sweep").get("trials", {}).get("succeeded", 0))


def accounts(bed: Bed, rays: KubeRayStandIn) -> None:
    """Nothing is lost and nothing is doubled."""
    runs, trials, status = rays.trials_run(), bed.trials("sweep"), bed.status("sweep")
    assert sorted(runs) == sorted(trials), "a trial was lost, or run twice"
    assert {trial["status"]["attempts"] for trial in trials.values()} == {1}
    assert status["trials"]["succeeded"] == status["plan"]["trials"] == len(trials)
    assert status["rayJob"]["attempt"] == 1, "more than one cluster was made"
