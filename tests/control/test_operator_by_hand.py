"""What people do by hand beside the operator: Secrets, records, edits that are refused, finalizers."""

import json
import time

from kuberay_stand_in import KubeRayStandIn, kuberay
from operators import Bed, experiment, running, wait_until

FEW = {
    "model": {"parameters": ["10k", "20k"]},
    "data": {"tokens": ["0.6M", "0.8M"]},
    "limits": {"tokensPerParameter": {"min": 0}},
}
NO_TRIAL = {"limits": {"tokensPerParameter": {"min": 1_000_000}}}


def wait_complete(bed: Bed, *, timeout_s: float = 90) -> None:
    wait_until(lambda: bed.condition("sweep", "Complete")[0] == "True", "it is complete", timeout_s=timeout_s)


def nothing_is_lost_or_doubled(bed: Bed, rays: KubeRayStandIn) -> bool:
    return sorted(rays.trials_run()) == sorted(bed.trials("sweep"))


def test_a_secret_without_a_token_is_said_and_the_experiment_goes_on_without_it(bed: Bed) -> None:
    bed.server.must("-n", bed.namespace, "create", "secret", "generic", "sweep-driver", "--from-literal=other=x")
    with running(bed.operator()), kuberay(bed) as rays:
        bed.apply(experiment(sweep=FEW))
        wait_until(lambda: bed.condition("sweep", "ClusterReady") == ("False", "SecretInvalid"), "it is said")
        assert bed.get("rayjobs") == []
        bed.delete("secret", "sweep-driver")
        wait_complete(bed)
        assert nothing_is_lost_or_doubled(bed, rays)


def test_a_refused_edit_beside_a_restart_is_collected_before_the_cluster_goes(bed: Bed) -> None:
    operator = bed.operator()
    with running(operator), kuberay(bed, trial_s=0.3, lanes=2) as rays:
        bed.apply(experiment())
        wait_until(lambda: len(rays.trials_run()) > 4, "trials have run")
        operator.kill()
        bed.patch("sweep", {"sweep": NO_TRIAL})
        time.sleep(2)  # trials that nobody has heard of end meanwhile
        operator.start().wait_ready()
        wait_until(lambda: bed.condition("sweep", "Accepted")[1] == "Unplannable", "it is refused")
        wait_until(lambda: not bed.get("rayjobs"), "the RayJob is gone", timeout_s=30)
        found = {trial for trial, record in bed.trials("sweep").items() if record["status"]["state"] == "Succeeded"}
        assert found == set(rays.trials_run()), "what had run was collected first"
        bed.patch("sweep", {"sweep": {"limits": {"tokensPerParameter": {"min": 0}}}})
        wait_complete(bed)
        assert nothing_is_lost_or_doubled(bed, rays)


def test_records_cannot_be_falsified_and_come_back_when_they_are_removed(bed: Bed) -> None:
    with running(bed.operator()), kuberay(bed) as rays:
        bed.apply(experiment(sweep=FEW))
        wait_complete(bed)
        wait_until(lambda: not bed.get("rayjobs"), "the RayJob is gone")
        trials = bed.trials("sweep")
        lost = next(iter(trials))
        for change in ({"spec": {"tokens": 1}}, {"status": {"state": "Pending"}}, {"status": {"metrics": {"loss": 1}}}):
            words = ["patch", "scalingtrial", f"sweep-{lost}", "--type=merge", "-p", json.dumps(change)]
            assert "immutable" in bed.server.kubectl("-n", bed.namespace, *words).stderr
        laws = bed.status("sweep")["laws"]
        bed.delete("scalingtrial", f"sweep-{lost}")
        wait_until(lambda: "were removed" in message(bed, "TrialsComplete"), "it is said")
        assert bed.status("sweep")["laws"] == laws
        bed.patch("sweep", {"suspend": True})
        wait_until(lambda: bed.condition("sweep", "Suspended")[0] == "True", "it is suspended")
        bed.patch("sweep", {"suspend": False})
        wait_complete(bed)
        again = bed.trials("sweep")
        assert {trial: record["status"] for trial, record in again.items()} == {
            trial: record["status"] for trial, record in trials.items()
        }
        assert nothing_is_lost_or_doubled(bed, rays), "nothing was trained again"
        assert "were removed" not in message(bed, "TrialsComplete")


def test_a_finalizer_of_someone_elses_does_not_keep_a_deleted_experiments_cluster(bed: Bed) -> None:
    with running(bed.operator()), kuberay(bed, trial_s=0.3, lanes=2) as rays:
        held = experiment()
        held["metadata"]["finalizers"] = ["example.com/hold"]
        bed.apply(held)
        wait_until(rays.trials_run, "a trial has run")
        bed.delete("scalingexperiment", "sweep")
        wait_until(lambda: not bed.get("rayjobs"), "the RayJob is gone", timeout_s=20)
        assert bed.get("scalingexperiment", "sweep"), "it is held"
        change = json.dumps({"metadata": {"finalizers": None}})
        bed.server.must("-n", bed.namespace, "patch", "scalingexperiment", "sweep", "--type=merge", "-p", change)
        wait_until(lambda: not bed.get("scalingtrials"), "all is gone")


def message(bed: Bed, kind: str) -> str:
    return next((c["message"] for c in bed.status("sweep").get("conditions", []) if c["type"] == kind), "")
