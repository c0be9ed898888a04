import io
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
import quickstart_sweep as sweep
import written
from rich.console import Console

from scaling_api.v1alpha1.status import LawStatus
from scaling_cli.cluster.applying import differences
from scaling_cli.cluster.events import ClusterEvent
from scaling_cli.cluster.experiments import ClusterExperiment
from scaling_cli.cluster.following import Followed
from scaling_cli.cluster.looking import Look
from scaling_cli.cluster.options import ClusterOptions
from scaling_cli.cluster.page_document import look_document
from scaling_cli.cluster.ray import RayJob, pod_of
from scaling_cli.cluster.trials import ClusterTrials
from scaling_cli.show.cluster_ends import end_blocks, last_words
from scaling_cli.show.experiment_list import experiment_table
from scaling_cli.show.experiment_page import page_blocks
from scaling_cli.show.following import following_screen
from scaling_cli.show.law_statuses import law_status_blocks
from scaling_cli.show.times import short_ago
from scaling_cli.show.trial_rows import trial_rows

Made = Callable[..., ClusterExperiment]
NOW = sweep.NOW


def text(blocks: Iterable[Any], width: int = 130) -> str:
    console = Console(file=io.StringIO(), width=width, highlight=False, markup=False, emoji=False)
    for block in blocks:
        console.print(block)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def seen(experiment: ClusterExperiment, **parts: Any) -> Look:
    found = {"trials": ClusterTrials(()), "warnings": (), "ray_job": None, "pods": (), **parts}
    return Look(experiment, **found)


def page(look: Look, *, is_wide: bool = False, width: int = 130) -> str:
    return text(page_blocks(look, ClusterOptions(), now=NOW, is_wide=is_wide), width)


def stuck(made: Made) -> Look:
    reason = {"ClusterReady": ("NoRoom", "No node has room for the head of RayJob quickstart-a1.")}
    conditions = sweep.conditions_of(("Accepted",), generation=1, since=NOW - timedelta(minutes=42), instead=reason)
    experiment = made(sweep.halfway().status.model_copy(update={"conditions": conditions}))
    worker = written.pod_manifest(experiment.manifest, "w-1", role="worker", pool="a100")
    pending = {"phase": "Pending", "conditions": [
        {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/3 nodes are available"},
    ]}  # fmt: skip
    warning = ClusterEvent("Pod w-1", "Warning", "FailedScheduling", "0/3 nodes", NOW - timedelta(minutes=5), 9)
    return seen(
        experiment,
        trials=ClusterTrials(sweep.halfway().records[-5:]),
        pods=(pod_of({**worker, "status": pending}),),
        warnings=(warning,),
        ray_job=RayJob("quickstart-a1", "", "Initializing", ""),
        unseen=("You may not read Events.",),
    )


@pytest.mark.parametrize(
    "words",
    [
        "quickstart  Waiting  namespace ml, created 20 min ago, generation 1",
        "192 trials, 160 points: 1.6e13 FLOPs, about 0.08 accelerator-hours, cost about 0.29",
        "100 of 192 finished, 4 running, 1 failed, 88 waiting",
        "cost 0.17 · 12 min so far",
        "✗  ClusterReady  42m    NoRoom  No node has room for the head of RayJob quickstart-a1.",
        "quickstart-a1: Initializing",
        "running  2",
        "Application, OutOfMemory: The trial needs more memory",
        "a100  Pending  0",
        "Unschedulable: 0/3 nodes are available",
        "5m   FailedScheduling  Pod w-1  0/3 nodes (×9)",
        "Not shown: You may not read Events.",
    ],
)
def test_a_page_says_what_is_wrong_and_since_when(words: str, made: Made) -> None:
    assert words in page(stuck(made), width=140)


def test_conditions_that_are_as_they_should_be_are_for_the_wide_page(made: Made) -> None:
    look = stuck(made)
    assert "NotSuspended" not in page(look)
    assert "NotSuspended" in page(look, is_wide=True)


def test_a_page_of_many_trials_is_short_and_the_wide_one_whole(made: Made) -> None:
    running = tuple(sweep.in_state(t, sweep.TrialState.RUNNING) for t in sweep.plan()[:40])
    look = seen(made(sweep.halfway().status), trials=ClusterTrials(running))
    assert "and 35 more; -o wide shows all" in page(look)
    assert page(look, is_wide=True).count(" running ") == 40


def test_a_finished_page_holds_laws_with_intervals_and_answers(made: Made) -> None:
    shown = page(seen(made(sweep.complete().status)))
    law = sweep.complete().status.laws[0]
    alpha = next(c for c in law.coefficients if c.name == "alpha")
    assert f"{alpha.value:.6f}" in shown
    for words in (
        "95% interval",
        "int3",
        "What compression costs",
        "Compute-optimal training",
        "Best model for a serving",
    ):
        assert words in shown
    assert "pillars  Joint: the dense law is that of chinchilla" in shown


def test_a_narrow_terminal_loses_no_words(made: Made) -> None:
    shown = "".join(page(stuck(made), width=60).split())
    assert "NonodehasroomfortheheadofRayJobquickstart-a1." in shown


def test_a_refused_law_says_why() -> None:
    finding = {"code": "TooFewPoints", "message": "3 points."}
    law = LawStatus.model_validate(
        {"name": "chinchilla", "form": "Chinchilla", "points": 0, "refused": "3 points for 5 coefficients.",
         "findings": [finding]}
    )  # fmt: skip
    assert "refused, TooFewPoints  3 points for 5 coefficients." in text(law_status_blocks([law]))


def test_a_law_of_another_version_is_shown() -> None:
    law = sweep.complete().status.laws[0].model_copy(update={"interval_method": "Dreamt", "objective": None})
    assert "alpha" in text(law_status_blocks([law]))


def test_the_document_has_every_number_as_it_was_written(made: Made) -> None:
    status = sweep.complete().status
    found = look_document(seen(made(status)), ClusterOptions())
    assert found["status"] == status.model_dump(mode="json", exclude_none=True)
    assert (found["state"], found["isOver"], found["exitCode"]) == ("Complete", True, 0)
    assert look_document(stuck(made), ClusterOptions())["exitCode"] is None


def test_the_list_of_experiments(made: Made) -> None:
    rows = text([experiment_table([made(sweep.halfway().status), made(None)], with_namespace=True, now=NOW)])
    assert " ml          quickstart   Running   100/192        1       1.770   2.34e12   20m" in rows
    assert "New" in rows


def test_the_end_of_waiting_shows_laws_and_what_is_missing(made: Made) -> None:
    status = sweep.complete().status
    shown = text(end_blocks(made(status)))
    assert "192 of 192 trials are finished. Spent: 1.6e13 FLOPs" in shown
    assert "Compute-optimal training" in shown
    counts = status.trials.model_copy(update={"succeeded": 190, "failed": 2})
    words = last_words(made(status.model_copy(update={"trials": counts})), ClusterOptions())
    assert words == "2 of 192 trials have no result (2 failed). See: scaling trials quickstart --failed"


def test_the_live_display(made: Made) -> None:
    followed = Followed(made(sweep.halfway().status), NOW)
    for record in sweep.halfway().records:
        followed.running |= {record.spec.id: record} if record.status.state is sweep.TrialState.RUNNING else {}
    shown = text([following_screen(followed, NOW)])
    assert "4 running" in shown
    assert "attempt 2" in shown
    assert "best loss 1.770" in shown


def test_trials_as_a_table() -> None:
    shown = text([trial_rows(sweep.halfway().records[-6:])], width=160)
    assert "Failed" in shown
    assert "OutOfMemory: The trial needs" in shown


def test_what_differs_between_two_specs() -> None:
    before = {"sweep": {"seeds": 2, "model": {"parameters": [1e4, 3e4]}}, "suspend": False}
    after = {"sweep": {"seeds": 3, "model": {"parameters": [1e4, 3e4, 1e5]}}, "suspend": False, "budget": {"cost": 3}}
    assert list(differences(before, after, "spec")) == [
        "spec.sweep.seeds: 3, was 2",
        "spec.sweep.model.parameters: [10000, 30000, 100000], was [10000, 30000]",
        "spec.budget: a mapping, was not set",
    ]


@pytest.mark.parametrize(("seconds", "shown"), [(5, "5s"), (119, "119s"), (120, "2m"), (7300, "2h"), (200_000, "2d")])
def test_ages(seconds: int, shown: str) -> None:
    assert short_ago(NOW - timedelta(seconds=seconds), NOW) == shown


def test_what_was_asked_for_has_no_cross(made: Made) -> None:
    conditions = sweep.conditions_of(("Accepted", "Suspended"), generation=1, since=NOW)
    look = seen(made(sweep.halfway().status.model_copy(update={"conditions": conditions})))
    assert "✓  Suspended" in page(look)


@pytest.mark.parametrize(("minutes", "is_shown"), [(5, True), (50, False), (70, False)])
def test_warnings_are_of_this_hour_and_of_this_state(minutes: int, is_shown: bool, made: Made) -> None:
    conditions = sweep.conditions_of(("Accepted", "ClusterReady"), generation=1, since=NOW - timedelta(minutes=42))
    experiment = made(sweep.halfway().status.model_copy(update={"conditions": conditions}))
    warning = ClusterEvent("Pod w-1", "Warning", "FailedScheduling", "0/3 nodes", NOW - timedelta(minutes=minutes))
    look = seen(experiment, warnings=(warning,))
    assert ("FailedScheduling" in page(look)) is is_shown
    assert "FailedScheduling" in page(look, is_wide=True)


def test_the_log_of_a_head_is_proposed_where_there_is_one(made: Made) -> None:
    look = stuck(made)
    head = pod_of({**written.pod_manifest(look.experiment.manifest, "h-1", role="head"), "status": {}})
    assert "scaling logs" not in page(look)
    assert "scaling logs quickstart" in page(replace(look, pods=(*look.pods, head)))
