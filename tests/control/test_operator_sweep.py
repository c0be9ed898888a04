"""An experiment from apply to coefficients: the real operator, API server and driver; trials by a script."""

import time

from kuberay_stand_in import kuberay
from operators import Bed, OperatorProcess, experiment, running, wait_until

FEW = {
    "model": {"parameters": ["10k", "20k"]},
    "data": {"tokens": ["0.6M", "0.8M"]},
    "limits": {"tokensPerParameter": {"min": 0}},
}


def wait_complete(bed: Bed, name: str = "sweep", *, timeout_s: float = 90) -> None:
    wait_until(lambda: bed.condition(name, "Complete")[0] == "True", f"{name} is complete", timeout_s=timeout_s)


def fitted_on_all(bed: Bed) -> bool:
    """Whether laws are of all that has finished, so that no further fit will be written."""
    status = bed.status("sweep")
    return bool(status.get("fitted", {}).get("trials") == status["trials"]["succeeded"])


def event_reasons(bed: Bed) -> list[str]:
    events = bed.get("events.events.k8s.io")
    return [event["reason"] for event in events if event["regarding"]["kind"] == "ScalingExperiment"]


def test_a_sweep_runs_to_its_end_and_then_nothing_is_written_and_nothing_runs(bed: Bed) -> None:
    with running(bed.operator()) as operator, kuberay(bed) as rays:
        bed.apply(experiment())
        wait_complete(bed)
        status, trials = bed.status("sweep"), bed.trials("sweep")
        assert status["trials"]["succeeded"] == status["plan"]["trials"] == len(trials)
        assert {trial["status"]["state"] for trial in trials.values()} == {"Succeeded"}
        assert sorted(rays.trials_run()) == sorted(trials)
        coefficients = {c["name"]: c["value"] for c in status["laws"][0]["coefficients"]}
        assert {"E", "A", "B", "alpha", "beta"} <= coefficients.keys()
        assert abs(coefficients["E"] - 1.2) < 0.5
        _series_tell_the_same(operator, bed, coefficients)
        wait_until(lambda: not bed.get("rayjobs"), "the RayJob is gone")
        wait_until(lambda: all(head.process.poll() is not None for head in rays.heads.values()), "the driver is gone")
        reasons = event_reasons(bed)
        assert len(reasons) == len(set(reasons)), "something was said twice"
        _stays_as_it_is(operator, bed)


def _series_tell_the_same(operator: OperatorProcess, bed: Bed, coefficients: dict[str, float]) -> None:
    place = f'experiment="sweep",namespace="{bed.namespace}"'
    samples = operator.samples()
    assert samples[f'scaling_trials{{{place},state="succeeded"}}'] == len(bed.trials("sweep"))
    law = f'experiment="sweep",law="chinchilla",namespace="{bed.namespace}",pipeline=""'
    assert samples[f"scaling_law_alpha{{{law}}}"] == coefficients["alpha"]
    assert f"scaling_law_alpha_lower{{{law}}}" in samples
    assert samples[f"scaling_spent_training_flops_total{{{place}}}"] > 0
    assert samples['scaling_driver_polls_total{outcome="answered"}'] > 0


def _stays_as_it_is(operator: OperatorProcess, bed: Bed) -> None:
    before, version = operator.writes(), bed.get("scalingexperiment", "sweep")["metadata"]["resourceVersion"]
    time.sleep(5)
    assert operator.writes() == before
    assert bed.get("scalingexperiment", "sweep")["metadata"]["resourceVersion"] == version


def test_suspended_at_creation_it_only_plans_then_it_runs_stands_still_and_goes_on(bed: Bed) -> None:
    with running(bed.operator()) as operator, kuberay(bed, trial_s=0.3, lanes=2) as rays:
        bed.apply(experiment(suspend=True))
        wait_until(lambda: bed.status("sweep").get("plan"), "the plan is in the status")
        time.sleep(1)
        assert bed.get("rayjobs") == []
        bed.patch("sweep", {"suspend": False})
        wait_until(lambda: len(rays.trials_run()) > 3, "trials have run")
        bed.patch("sweep", {"suspend": True})
        wait_until(lambda: bed.condition("sweep", "Suspended")[0] == "True", "it is suspended")
        wait_until(lambda: not bed.get("rayjobs"), "the RayJob is gone")
        wait_until(lambda: fitted_on_all(bed), "laws are fitted on what there is")
        time.sleep(1)
        done, before = len(rays.trials_run()), operator.writes()
        time.sleep(3)
        assert len(rays.trials_run()) == done
        assert operator.writes() == before
        assert bed.condition("sweep", "Complete")[0] == "False"
        bed.patch("sweep", {"suspend": False})
        wait_complete(bed)
        assert sorted(rays.trials_run()) == sorted(bed.trials("sweep"))


def test_a_sweep_grows_in_place_and_shrinks_with_its_trials_as_records(bed: Bed) -> None:
    with running(bed.operator()), kuberay(bed) as rays:
        bed.apply(experiment(sweep=FEW))
        wait_complete(bed)
        few = bed.trials("sweep")
        more = {**FEW, "data": {"tokens": ["0.6M", "0.8M", "1.2M"]}}
        bed.patch("sweep", {"sweep": more})
        wait_until(lambda: len(bed.trials("sweep")) > len(few), "it has grown")
        wait_complete(bed)
        grown = bed.trials("sweep")
        assert few.keys() < grown.keys()
        assert sorted(rays.trials_run()) == sorted(grown), "finished trials were run again"
        bed.patch("sweep", {"sweep": FEW})
        wait_until(lambda: bed.status("sweep")["plan"]["trials"] == len(few), "it has shrunk")
        wait_complete(bed)
        assert bed.trials("sweep").keys() == grown.keys()


def test_what_belongs_to_an_experiment_goes_with_it_and_so_do_its_series(bed: Bed) -> None:
    with running(bed.operator()) as operator, kuberay(bed, trial_s=0.3, lanes=2) as rays:
        bed.apply(experiment())
        wait_until(lambda: len(bed.trials("sweep")) > 2, "trials are recorded")
        bed.delete("scalingexperiment", "sweep")
        for kind in ("rayjobs", "scalingtrials", "secrets", "networkpolicies"):
            wait_until(lambda kind=kind: not bed.get(kind), f"{kind} are gone")
        wait_until(lambda: not rays.heads, "the driver is gone")
        wait_until(lambda: not any('experiment="sweep"' in name for name in operator.samples()), "series are gone")
        bed.apply(experiment(sweep=FEW))
        wait_complete(bed)


def test_a_head_that_is_lost_costs_no_finished_trial(bed: Bed) -> None:
    with running(bed.operator()), kuberay(bed, trial_s=0.2, lanes=2) as rays:
        bed.apply(experiment())
        wait_until(lambda: len(bed.trials("sweep")) > 8, "trials are recorded")
        rays.kill_head("sweep-a1")
        wait_complete(bed)
        runs = rays.trials_run()
        assert set(runs) == set(bed.trials("sweep"))
        assert len(runs) - len(set(runs)) <= 2, "more was run again than was running"


def test_results_outlive_their_experiment(bed: Bed) -> None:
    with running(bed.operator()), kuberay(bed) as rays:
        bed.apply(experiment(sweep=FEW))
        wait_complete(bed)
        done = rays.trials_run()
        bed.apply(experiment("again", sweep=FEW))
        wait_complete(bed, "again")
        assert rays.trials_run() == done
        assert {trial["status"]["state"] for trial in bed.trials("again").values()} == {"Cached"}
