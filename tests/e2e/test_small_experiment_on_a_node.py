"""An experiment on a real node comes to what `scaling run` comes to on the same machine."""

from pathlib import Path

import pytest
from documents import Document, Run, small, written
from installation import Site
from local_run import LocalRun, assert_same, run_here

TOKEN = "/var/run/secrets/kubernetes.io/serviceaccount/token"


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> LocalRun:
    folder = tmp_path_factory.mktemp("here")
    return run_here(written(small(), folder), folder / "results")


def test_it_completes_with_the_losses_and_coefficients_of_a_local_run(run: Run, here: LocalRun) -> None:
    experiment = run(small())
    experiment.wait_for("Complete", timeout_s=600)
    assert_same(experiment, here)
    assert not experiment.pods("worker")


def test_training_containers_have_no_kubernetes_token_and_the_cluster_scales(run: Run, site: Site) -> None:
    experiment = run(small(tokens=["0.5M", "1M", "2M"]))
    experiment.wait_until(lambda it: it.finished() > 0, "a finished trial", timeout_s=600)
    (head,), workers = experiment.pods("head"), experiment.pods("worker")
    assert workers, "the autoscaler made them: the pool's minNodes is 0"
    for pod, container in [(head, "ray-head"), *((worker, "ray-worker") for worker in workers)]:
        looked = experiment.kubectl("exec", pod, "-c", container, "--", "ls", TOKEN)
        assert "No such file" in looked.stderr
    assert experiment.kubectl("exec", head, "-c", "autoscaler", "--", "ls", TOKEN).returncode == 0


def test_two_workers_train_one_trial_on_ray_train(run: Run, tmp_path: Path) -> None:
    def document(workers: int) -> Document:
        made = small(parameters=["10k"], tokens=["128k", "256k"], compression=[{"name": "dense"}], laws=[])
        made["spec"]["sweep"]["compute"] = [{"workers": workers}]
        return made

    experiment = run(document(2))
    experiment.wait_for("Complete", timeout_s=600)
    alone = run_here(written(document(1), tmp_path), tmp_path / "results")
    # Gradients are added in another order, so the losses of hundreds of steps are near, not equal.
    assert sorted(experiment.losses().values()) == pytest.approx(sorted(alone.losses.values()), abs=0.01)
