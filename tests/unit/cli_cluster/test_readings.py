from pathlib import Path

import pytest
import quickstart_sweep as sweep

from scaling_api.v1alpha1.status import ExperimentStatus
from scaling_cli.cluster.durations import seconds_of
from scaling_cli.cluster.events import event_of, is_about, latest_first
from scaling_cli.cluster.naming import is_folder
from scaling_cli.cluster.options import ClusterOptions
from scaling_cli.cluster.ray import pod_of
from scaling_cli.cluster.reading import understood
from scaling_cli.cluster.trials import is_of, planned_ids, record_of
from scaling_cli.errors import CommandError


def test_a_status_of_a_newer_operator_is_read_as_far_as_it_is_understood() -> None:
    found = sweep.complete().status.model_dump(mode="json", exclude_none=True)
    plain = understood(ExperimentStatus, found)
    found["phaseOfTheMoon"] = {"of": "tonight"}
    found["laws"][0]["coefficients"][0]["skew"] = 0.3
    found["plan"]["accelerators"] = [1, 2]
    assert understood(ExperimentStatus, found) == plain
    assert found["phaseOfTheMoon"] == {"of": "tonight"}


def test_a_field_of_another_kind_is_left_out_alone() -> None:
    found = sweep.complete().status.model_dump(mode="json", exclude_none=True)
    found["bestLoss"] = "very low"
    status = understood(ExperimentStatus, found)
    assert status is not None
    assert status.best_loss is None
    assert len(status.laws) == 3


def test_what_is_no_status_at_all_is_none() -> None:
    assert understood(ExperimentStatus, ["nothing"]) is None
    assert record_of({"metadata": {}, "spec": {"id": "x"}}) is None


def test_trials_of_a_deleted_experiment_of_the_same_name_are_not_ours() -> None:
    mine, other = ({"metadata": {"ownerReferences": [{"uid": uid}]}} for uid in ("u-1", "u-0"))
    assert is_of(mine, "u-1")
    assert not is_of(other, "u-1")


def test_only_a_changed_sweep_leaves_trials_behind(made) -> None:  # type: ignore[no-untyped-def]
    assert planned_ids(made(sweep.complete().status)) is None
    ids = planned_ids(made(sweep.complete().status, generation=2))
    assert ids == {trial.id for trial in sweep.plan()}


@pytest.mark.parametrize(
    ("regarding", "is_ours"),
    [
        ({"kind": "ScalingExperiment", "name": "quickstart", "uid": "u-1"}, True),
        ({"kind": "ScalingExperiment", "name": "quickstart", "uid": "u-0"}, False),
        ({"kind": "RayJob", "name": "quickstart-a1"}, True),
        ({"kind": "Pod", "name": "quickstart-a1-x2k9p-head-aaaaa"}, True),
        ({"kind": "RayJob", "name": "quickstart-a12"}, False),
        ({"kind": "Pod", "name": "quickstart-2-a1-x2k9p-head-aaaaa"}, False),
    ],
)
def test_which_events_are_about_an_experiment(regarding: dict[str, str], is_ours: bool, made) -> None:  # type: ignore[no-untyped-def]
    assert is_about({"regarding": regarding}, made(sweep.complete().status)) is is_ours


def test_events_of_both_kinds_of_writers_are_read_and_said_once() -> None:
    old = {"metadata": {}, "regarding": {"kind": "Pod", "name": "p"}, "reason": "R", "note": "n", "type": "Warning"}
    first = event_of({**old, "deprecatedLastTimestamp": "2026-11-23T10:00:00Z", "deprecatedCount": 7})
    later = event_of({**old, "eventTime": "2026-11-23T11:00:00.5Z"})
    assert (first.count, later.count) == (7, 1)
    assert latest_first([first, later]) == (later,)


@pytest.mark.parametrize(
    ("status", "trouble"),
    [
        ({"phase": "Failed", "reason": "Evicted", "message": "The node was low on memory."}, "Evicted: The node was"),
        (
            {"containerStatuses": [{"state": {"waiting": {"reason": "ImagePullBackOff", "message": "no such image"}}}]},
            "ImagePullBackOff: no such image",
        ),
        ({"containerStatuses": [{"state": {"waiting": {"reason": "ContainerCreating"}}}]}, ""),
        (
            {"containerStatuses": [{"state": {"terminated": {"reason": "OOMKilled", "exitCode": 137}}}]},
            "OOMKilled: exit code 137",
        ),
        (
            {"conditions": [{"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/3"}]},
            "Unschedulable: 0/3",
        ),
        ({"conditions": [{"type": "PodScheduled", "status": "True"}]}, ""),
    ],
)
def test_why_a_pod_does_not_run(status: dict[str, object], trouble: str) -> None:
    assert pod_of({"metadata": {"name": "p"}, "status": status}).trouble[: len(trouble) or None] == trouble


def test_a_name_is_a_folder_where_it_is_a_path_or_holds_results(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "notes").mkdir()
    (tmp_path / "old").mkdir()
    (tmp_path / "old/experiment.json").touch()
    said = {
        word: is_folder(word, ClusterOptions()) for word in ("quickstart", "notes", "old", "results/old", ".", "A b")
    }
    assert said == {"quickstart": False, "notes": False, "old": True, "results/old": True, ".": True, "A b": True}
    assert not is_folder("old", ClusterOptions(namespace="ml"))


@pytest.mark.parametrize(
    ("text", "seconds"), [("90m", 5400), ("1h30m", 5400), ("45", 45), ("0.5s", 0.5), ("1d", 86400)]
)
def test_durations(text: str, seconds: float) -> None:
    assert seconds_of(text, option="--timeout") == seconds


@pytest.mark.parametrize("text", ["", "soon", "1h 30m", "-5", "1w"])
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(CommandError, match="--timeout: expected a duration"):
        seconds_of(text, option="--timeout")
