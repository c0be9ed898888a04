"""An experiment stops when its user, its budget or its deletion says so."""

import json

from documents import Run, lasting, small
from experiments import Experiment
from local_run import LocalRun, assert_same

CHILDREN = "scalingtrials,rayjobs,rayclusters,pods,secrets,services,networkpolicies,serviceaccounts,roles,rolebindings"


def has_no_cluster(experiment: Experiment) -> bool:
    return not json.loads(experiment.must("get", "rayjobs,rayclusters", "-o", "json"))["items"]


def test_suspended_at_creation_it_is_a_dry_run(run: Run) -> None:
    experiment = run(small(suspend=True))
    experiment.wait_for("Suspended", timeout_s=300)
    experiment.wait_until(lambda it: it.get()["status"].get("plan"), "the plan", timeout_s=300)
    assert has_no_cluster(experiment)


def test_a_suspended_sweep_frees_its_nodes_and_goes_on_where_it_was(run: Run, lasting_here: LocalRun) -> None:
    experiment = run(lasting())
    experiment.wait_until(lambda it: it.finished() >= 2, "two finished trials", timeout_s=600)
    experiment.patch({"suspend": True})
    experiment.wait_until(lambda it: it.holds("Suspended") and has_no_cluster(it), "suspension", timeout_s=300)
    done = experiment.finished()
    assert done >= 2
    experiment.patch({"suspend": False})
    experiment.wait_for("Complete", timeout_s=900)
    assert experiment.get()["status"]["rayJob"]["attempt"] == 2
    assert_same(experiment, lasting_here)


def test_a_spent_budget_ends_the_sweep_and_the_laws_are_fitted_on_what_there_is(run: Run) -> None:
    experiment = run(lasting(budget={"trainingFlops": 2e11}))
    experiment.wait_for("BudgetExhausted", timeout_s=600)
    experiment.wait_until(has_no_cluster, "the end of the cluster", timeout_s=300)
    status = experiment.get()["status"]
    assert 0 < status["trials"]["succeeded"] < status["plan"]["trials"]
    assert status["spent"]["trainingFlops"] <= 2e11


def test_deleted_in_the_middle_it_takes_all_that_it_made_along(run: Run) -> None:
    experiment = run(lasting())
    experiment.wait_until(lambda it: it.finished() >= 1, "a finished trial", timeout_s=600)
    experiment.delete()

    def is_gone(it: Experiment) -> bool:
        listed = json.loads(it.must("get", CHILDREN, "-o", "json"))["items"]
        return all(each["metadata"]["name"] == "default" for each in listed)

    experiment.wait_until(is_gone, "the end of all its objects", timeout_s=300)
