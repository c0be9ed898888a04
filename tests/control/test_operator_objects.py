"""The operator and the API server: kinds that come later, records that someone removes, Events, a thousand writes."""

import time
from pathlib import Path

import pytest
from beds import know_kuberay
from kuberay_stand_in import kuberay
from operators import Bed, experiment, running, wait_until

from throwaway import api_server as servers
from throwaway.cluster import best_control_plane, cluster_of
from throwaway.errors import UnavailableError

REPOSITORY = Path(__file__).parents[2]
FEW = {
    "model": {"parameters": ["10k", "20k"]},
    "data": {"tokens": ["0.6M", "0.8M"]},
    "limits": {"tokensPerParameter": {"min": 0}},
}


def wait_complete(bed: Bed, *, timeout_s: float = 90) -> None:
    wait_until(lambda: bed.condition("sweep", "Complete")[0] == "True", "it is complete", timeout_s=timeout_s)


@pytest.mark.slow
def test_kinds_that_are_installed_later_are_noticed_without_a_restart(tmp_path: Path) -> None:
    try:
        cluster = cluster_of(best_control_plane(), folder=tmp_path / "cluster")
    except UnavailableError as reason:
        pytest.skip(str(reason))
    cluster.up()
    try:
        server = servers.of_cluster(cluster)
        server.must("create", "namespace", "late")
        bed = Bed(server, "late", tmp_path / "bed")
        operator = bed.operator().start()
        try:
            wait_until(lambda: operator.page(operator.probes, "/readyz")[0] == 503, "it is up")
            time.sleep(2)
            assert "not installed" in operator.page(operator.probes, "/readyz")[1]
            crds = [REPOSITORY / f"crds/{name}.yaml" for name in ("scalingexperiments", "scalingtrials")]
            server.must("apply", "--server-side", *(f"--filename={crd}" for crd in crds))
            server.must("wait", "--for=condition=Established", "--timeout=30s", *(f"--filename={crd}" for crd in crds))
            operator.wait_ready()
            bed.apply(experiment(sweep=FEW))
            wait_until(
                lambda: bed.condition("sweep", "ClusterReady") == ("False", "KubeRayMissing"), "it says what is missing"
            )
            know_kuberay(server)
            with kuberay(bed):
                wait_complete(bed)
        finally:
            operator.kill()
    finally:
        cluster.down()


def test_a_record_that_someone_removes_is_written_again(bed: Bed) -> None:
    with running(bed.operator()), kuberay(bed, trial_s=0.5, lanes=1) as rays:
        bed.apply(experiment(sweep=FEW))
        wait_until(lambda: len(rays.trials_run()) >= 2, "trials have run")
        lost = rays.trials_run()[0]
        wait_until(lambda: lost in bed.trials("sweep"), "the trial is recorded")
        bed.delete("scalingtrial", f"sweep-{lost}")
        wait_until(lambda: lost in bed.trials("sweep"), "it is recorded again", timeout_s=10)
        wait_complete(bed)
        assert len(rays.trials_run()) == len(set(rays.trials_run()))


def test_a_finished_experiment_costs_no_write_however_often_it_is_looked_at(bed: Bed) -> None:
    with running(bed.operator(settings={"resyncSeconds": 0.2})) as operator, kuberay(bed):
        bed.apply(experiment(sweep=FEW))
        wait_complete(bed)
        wait_until(lambda: not bed.get("rayjobs"), "the RayJob is gone")
        time.sleep(2)
        before, passes = operator.writes(), operator.samples()["scaling_reconcile_seconds_count"]
        time.sleep(5)
        assert operator.samples()["scaling_reconcile_seconds_count"] > passes + 15
        assert operator.writes() == before
        operator.kill()
        operator.start()
        operator.wait_ready()
        time.sleep(3)
        assert operator.writes() == 0
