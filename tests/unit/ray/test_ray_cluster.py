"""Trials on the nodes of a cluster: pools, nodes that are lost, accelerators that are not there."""

import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ray_runs import RayRun
from scripted_plan import Run, family, trial, trial_id

from scaling_api.v1alpha1.execution import Accelerator, Execution, Pool, Resources
from scaling_api.v1alpha1.status import TrialState
from scaling_api.v1alpha1.sweep import ComputeLevel
from scaling_api.v1alpha1.trial import FailureClass, TrialSpec
from scaling_trainer.executors.base import (
    AttemptFailed,
    Capacity,
    Event,
    LaneReplaced,
    TrialEnded,
    TrialProgress,
    TrialStarted,
)
from scaling_trainer.executors.lane import module_paths
from scaling_trainer.executors.ray.connection import Connection

CPU, GPU = Pool(name="cores", resources=Resources(cpu="2"), max_nodes=2), Pool(name="a100", accelerator=Accelerator())


@pytest.fixture(scope="module")
def nodes() -> Iterator[Any]:
    """A head without slots, and a node with two, as a pool's nodes have them."""
    cluster_utils = pytest.importorskip("ray.cluster_utils")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_AUTH_MODE", "disabled")
        patch.setenv("PYTHONPATH", module_paths())  # what an image has installed
        folder = tempfile.mkdtemp(prefix="ray-", dir="/tmp")  # its sockets' names must be short
        patch.setenv("RAY_TMPDIR", folder)  # where the head's address is written, into a folder that must be there
        Path(folder, "ray").mkdir()
        cluster = cluster_utils.Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "temp_dir": folder})
        cluster.add_node(num_cpus=2, resources={"pool-cores": 2}, temp_dir=folder)
        yield cluster
        cluster.shutdown()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def joined(nodes: Any) -> Iterator[Connection]:
    connection = Connection.join(nodes.address)
    yield connection
    connection.close()


def on(pool: str, *trials: TrialSpec) -> list[TrialSpec]:
    return [t.model_copy(update={"compute": ComputeLevel(pool=pool)}) for t in trials]


def test_trials_run_on_their_pools_nodes(nodes: Any, joined: Connection, tmp_path: Path) -> None:
    run = RayRun(joined, tmp_path / "r", family(1), execution=Execution(pools=(CPU,)))
    outcome = run()
    local = Run(tmp_path / "local", family(1))()
    assert {id_: r.status.metrics.loss for id_, r in outcome.records.items()} == {
        id_: r.status.metrics.loss for id_, r in local.records.items()
    }
    assert run.executor is not None
    assert run.executor.capacity() == {"cores": Capacity(nodes=1, accelerators=2)}


def test_idle_lanes_are_let_go_while_others_work(nodes: Any, joined: Connection, tmp_path: Path) -> None:
    lanes: list[int] = []
    run = RayRun(joined, tmp_path, [trial("long", steps=40), trial("short")], execution=Execution(pools=(CPU,)))
    run.scripts = {"long": "pause=0.1"}
    run.on_event = lambda event: lanes.append(run.executor.lanes if run.executor else 0)
    assert len(run().records) == 2
    assert max(lanes) == 2
    assert lanes[-1] == 1


def test_a_lost_nodes_trials_go_on_from_their_checkpoints(nodes: Any, joined: Connection, tmp_path: Path) -> None:
    doomed = nodes.add_node(num_cpus=1, resources={"pool-cores": 1})
    lost: list[float] = []

    def lose(event: Event) -> None:
        if isinstance(event, TrialProgress) and event.step > 4 and not lost and len(started) == 3:
            lost.append(time.monotonic())
            nodes.remove_node(doomed, allow_graceful=False)
        if isinstance(event, TrialStarted):
            started.add(event.trial.id)

    started: set[str] = set()
    trials = [trial(str(i), steps=25) for i in range(3)]
    run = RayRun(joined, tmp_path / "r", trials, "pause=0.1 every=1", Execution(pools=(CPU,)), on_event=lose)
    outcome = run()
    assert lost
    assert {r.status.state for r in outcome.records.values()} == {TrialState.SUCCEEDED}
    (failed,) = run.of(AttemptFailed)
    assert isinstance(failed, AttemptFailed)
    assert failed.failure.failure_class is FailureClass.INFRASTRUCTURE
    assert [e.resumed for e in run.of(TrialStarted) if e.trial.id == failed.trial.id] == [False, True]
    local = Run(tmp_path / "local", trials)()
    assert outcome.records[failed.trial.id].status.metrics == local.records[failed.trial.id].status.metrics


def test_a_missing_accelerator_is_no_reason_to_train_on_the_cpu(nodes: Any, joined: Connection, tmp_path: Path) -> None:
    node = nodes.add_node(num_cpus=1, num_gpus=1, resources={"pool-a100": 1})
    trials = [*on("a100", trial("a")), *on("cores", trial("b", steps=1))]
    run = RayRun(joined, tmp_path / "strict", trials, execution=Execution(pools=(CPU, GPU)))
    outcome = run()
    assert outcome.stopped is not None
    assert (outcome.stopped.failure_class, outcome.stopped.reason) == (
        FailureClass.INFRASTRUCTURE,
        "AcceleratorMissing",
    )
    assert "nvidia.com/gpu" in outcome.stopped.message
    assert trial_id("a") not in outcome.records
    assert run.of(LaneReplaced)
    allowed = RayRun(joined, tmp_path / "test", trials, execution=Execution(pools=(CPU, GPU)), cpu_fallback=True)
    assert {r.status.state for r in allowed().records.values()} == {TrialState.SUCCEEDED}
    assert {e.record.spec.id for e in allowed.of(TrialEnded)} == {t.id for t in trials}
    nodes.remove_node(node)


def test_a_pool_that_is_not_there_stops_the_run(nodes: Any, joined: Connection, tmp_path: Path) -> None:
    stopped = RayRun(joined, tmp_path, on("elsewhere", trial("a")), execution=Execution(pools=(CPU,)))().stopped
    assert stopped is not None
    assert stopped.failure_class is FailureClass.CONFIGURATION
    assert "elsewhere" in stopped.message
