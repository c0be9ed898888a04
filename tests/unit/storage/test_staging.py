"""Trials on nodes that have nothing but storage in common."""

import hashlib
import json
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from scripted_plan import trial
from scripted_trials import calls, run_trial
from staged import Node

from scaling_api.v1alpha1.status import TrialState
from scaling_api.v1alpha1.trial import TrialSpec, TrialStatus
from scaling_trainer.checkpoint import check_checkpoint
from scaling_trainer.context import TrialContext
from scaling_trainer.errors import CheckpointCorruptError, CheckpointMissingError
from scaling_trainer.storage.cache import ParentCache
from scaling_trainer.storage.store import Store

TRUNK, BRANCH = trial("trunk", steps=4), trial("branch", "trunk", steps=4)


@pytest.fixture(params=["folder", "s3"])
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return f"{tmp_path}/storage" if request.param == "folder" else str(request.getfixturevalue("s3_uri"))


def expected(*trials: TrialSpec) -> list[float | None]:
    """Losses of scripted trials, each following the one before it."""
    state, losses = "", []
    for one in trials:
        for step in range(one.start_step, one.end_step):
            state = hashlib.sha256(f"{state}{one.id}{step}".encode()).hexdigest()
        losses.append(int(state[:12], 16) / 2**48)
    return losses


def test_a_child_on_another_node_starts_from_its_parents_files(storage: str, tmp_path: Path) -> None:
    first, second = Node(tmp_path / "node1", storage), Node(tmp_path / "node2", storage)
    statuses = [first.run(TRUNK), second.run(BRANCH)]
    assert [status.metrics.loss for status in statuses] == expected(TRUNK, BRANCH)
    checkpoint = statuses[1].checkpoint
    assert checkpoint is not None
    assert checkpoint.path == f"trials/{BRANCH.id}/000001-00000000-1/checkpoint"
    assert first.left() == second.left() == []


def test_a_committed_result_is_returned_without_running(storage: str, tmp_path: Path) -> None:
    node = Node(tmp_path / "node", storage)
    first = node.run(TRUNK)

    def never(_trial: TrialSpec, _context: TrialContext) -> TrialStatus:
        raise AssertionError

    assert Node(tmp_path / "other", storage).run(TRUNK, "000002-00000000-1", run=never) == first


def test_an_attempt_goes_on_from_the_newest_checkpoint_in_storage(storage: str, tmp_path: Path) -> None:
    long = trial("long", steps=40)
    cut = Node(tmp_path / "node1", storage, script="every=1 pause=0.05 fault=raise at=30")
    with pytest.raises(RuntimeError):
        cut.run(long)
    steps: list[int] = []

    def spied(trial: TrialSpec, context: TrialContext) -> TrialStatus:
        manifest = context.trial_folder(trial.id) / "checkpoint/manifest.json"
        steps.append(json.loads(manifest.read_bytes())["step"])
        return run_trial(trial, context)

    status = Node(tmp_path / "node2", storage, script="every=1").run(long, "000002-00000000-2", run=spied)
    assert 5 <= steps[0] < 31
    assert [status.metrics.loss] == expected(long)
    names = cut.store.files.names(f"trials/{long.id}")
    assert not [name for name in names if "/progress/" in name], "checkpoints of a finished trial are removed"


def test_a_damaged_checkpoint_in_storage_is_passed_over(tmp_path: Path) -> None:
    storage = tmp_path / "storage"
    long = trial("long", steps=40)
    with pytest.raises(RuntimeError):
        Node(tmp_path / "node1", str(storage), script="every=1 pause=0.05 fault=raise at=30").run(long)
    damaged = list(storage.glob("trials/*/*/progress/*/*/notes-*"))
    assert damaged
    for notes in damaged:
        notes.write_bytes(b"[]")
    status = Node(tmp_path / "node2", str(storage)).run(long, "000002-00000000-2")
    assert [status.metrics.loss] == expected(long)


def test_a_result_is_committed_whole_or_not_at_all(tmp_path: Path) -> None:
    storage = tmp_path / "storage"
    node = Node(tmp_path / "node", str(storage))
    node.run(TRUNK)
    (result,) = storage.glob("trials/*/*/result.json")
    result.unlink()  # killed before the last write
    assert node.store.find(TRUNK.id).committed == ()
    assert [node.run(TRUNK, "000002-00000000-2").metrics.loss] == expected(TRUNK)
    assert len(list(storage.glob("trials/*/*/result.json"))) == 1


@pytest.mark.parametrize("content", [b"", b"{", b"null", b'{"format":2}', b"\xff"])
def test_a_result_that_cannot_be_read_is_none(tmp_path: Path, content: bytes) -> None:
    storage = tmp_path / "storage"
    node = Node(tmp_path / "node", str(storage))
    node.run(TRUNK)
    (result,) = storage.glob("trials/*/*/result.json")
    result.write_bytes(content)
    assert node.store.find(TRUNK.id).committed == ()


@pytest.mark.parametrize("name", ["../../../outside", "/etc/passwd", ".hidden", "a//b", "a/../b"])
def test_a_result_cannot_name_files_elsewhere(tmp_path: Path, name: str) -> None:
    storage = tmp_path / "storage"
    node = Node(tmp_path / "node", str(storage))
    node.run(TRUNK)
    (path,) = storage.glob("trials/*/*/result.json")
    result = json.loads(path.read_bytes())
    result["files"] = {name: next(iter(result["files"].values()))}
    path.write_text(json.dumps(result))
    assert node.store.find(TRUNK.id).committed == ()


def test_the_first_commit_wins(storage: str, tmp_path: Path) -> None:
    def slow(trial: TrialSpec, context: TrialContext) -> TrialStatus:
        late = Node(tmp_path / "node2", storage)
        late.run(trial, "000002-00000000-1")
        return run_trial(trial, context)

    status = Node(tmp_path / "node1", storage).run(TRUNK, "000001-00000000-1", run=slow)
    assert status.checkpoint is not None
    assert status.checkpoint.path.startswith(f"trials/{TRUNK.id}/000002-00000000-1/")
    assert len(Node(tmp_path / "node3", storage).store.find(TRUNK.id).committed) == 1


def test_of_two_complete_results_every_reader_takes_the_same(tmp_path: Path) -> None:
    storage = tmp_path / "storage"
    node = Node(tmp_path / "node", str(storage))
    node.run(TRUNK, "000002-00000000-1")
    folder = storage / "trials" / TRUNK.id
    shutil.copytree(folder / "000002-00000000-1", folder / "000001-00000000-1")
    text = (folder / "000001-00000000-1/result.json").read_text().replace("000002", "000001")
    (folder / "000001-00000000-1/result.json").write_text(text)
    found = node.store.find(TRUNK.id).committed
    assert [one.result.attempt for one in found] == ["000001-00000000-1", "000002-00000000-1"]


def damage(storage: Path, trial_id: str) -> None:
    for path in storage.glob(f"trials/{trial_id}/*/checkpoint/notes-*"):
        path.write_bytes(b"[1]")


def test_a_parent_damaged_in_storage_counts_no_more_and_is_run_again(tmp_path: Path) -> None:
    storage = tmp_path / "storage"
    node = Node(tmp_path / "node1", str(storage))
    node.run(TRUNK)
    damage(storage, TRUNK.id)
    other = Node(tmp_path / "node2", str(storage))
    with pytest.raises(CheckpointCorruptError) as error:
        other.run(BRANCH)
    assert TRUNK.id in error.value.folder.parts
    assert other.left() == []
    other.run(TRUNK, "000002-00000000-2")
    assert [other.run(BRANCH, "000002-00000000-2").metrics.loss] == expected(TRUNK, BRANCH)[1:]


def test_a_missing_parent_is_named(tmp_path: Path) -> None:
    with pytest.raises(CheckpointMissingError, match="storage has no result") as error:
        Node(tmp_path / "node", str(tmp_path / "storage")).run(BRANCH)
    assert TRUNK.id in error.value.folder.parts


def test_a_damaged_cache_is_fetched_anew(tmp_path: Path) -> None:
    node = Node(tmp_path / "node", str(tmp_path / "storage"))
    node.run(TRUNK)
    (notes,) = (tmp_path / "node/parents").glob("*/checkpoint/notes-*")
    notes.write_bytes(b"[1]")
    assert [node.run(BRANCH).metrics.loss] == expected(TRUNK, BRANCH)[1:]


def test_errors_name_folders_as_the_driver_knows_them(tmp_path: Path) -> None:
    def fails(trial: TrialSpec, context: TrialContext) -> TrialStatus:
        check_checkpoint(context.trial_folder(trial.id) / "final")
        raise AssertionError

    node = Node(tmp_path / "node", str(tmp_path / "storage"))
    with pytest.raises(CheckpointMissingError) as error:
        node.run(TRUNK, run=fails)
    assert error.value.folder == tmp_path / "node/trials" / TRUNK.id / "final"


def test_only_results_are_committed(tmp_path: Path) -> None:
    node = Node(tmp_path / "node", str(tmp_path / "storage"), script="state=Interrupted")
    assert node.run(TRUNK).state is TrialState.INTERRUPTED
    assert node.store.find(TRUNK.id).committed == ()


def test_a_divergence_is_committed_without_files(tmp_path: Path) -> None:
    node = Node(tmp_path / "node", str(tmp_path / "storage"), script="state=Diverged")
    status = node.run(TRUNK)
    (committed,) = node.store.find(TRUNK.id).committed
    assert committed.result.files == {}
    assert committed.result.status == status
    assert status.state is TrialState.DIVERGED


def test_what_killed_attempts_leave_is_removed_by_the_next(tmp_path: Path) -> None:
    script = f"""
import sys; sys.path[:0] = {sys.path!r}
from pathlib import Path
from scripted_plan import trial
from staged import Node
node = Node(Path({str(tmp_path / "node")!r}), {str(tmp_path / "storage")!r}, script="every=1 fault=sleep at=1")
node.run(trial("trunk"))
"""
    process = subprocess.Popen([sys.executable, "-c", script], env={"OMP_NUM_THREADS": "1"})
    while not calls_in(tmp_path / "node"):
        time.sleep(0.02)
    process.kill()
    process.wait()
    node = Node(tmp_path / "node", str(tmp_path / "storage"))
    assert len(node.left()) == 2
    node.run(BRANCH.model_copy(update={"parents": ()}))
    assert node.left() == []


def calls_in(scratch: Path) -> list[str]:
    return [id_ for folder in (scratch / "attempts").glob("*/") for id_ in calls(folder, "begin")]


def test_lanes_of_one_node_share_a_parent_that_is_fetched_once(tmp_path: Path) -> None:
    storage = str(tmp_path / "storage")
    Node(tmp_path / "node1", storage).run(TRUNK)
    node = Node(tmp_path / "node2", storage)
    fetched: list[str] = []

    class Counted(Store):
        def fetch(self, committed, folder):  # type: ignore[no-untyped-def]
            fetched.append(committed.folder)
            return super().fetch(committed, folder)

    (committed,) = node.store.find(TRUNK.id).committed
    cache = ParentCache(node.scratch / "parents")
    store = Counted(node.store.files)
    for _ in range(3):
        with cache.entry(committed, store) as folder:
            assert folder is not None
    assert len(fetched) == 1


def test_the_cache_keeps_what_is_in_use_and_drops_the_rest(tmp_path: Path) -> None:
    node = Node(tmp_path / "node", str(tmp_path / "storage"))
    trials = [trial(f"trunk{i}") for i in range(4)]
    for one in trials:
        node.run(one)
    cache = ParentCache(node.scratch / "parents", largest_bytes=0)
    (committed,) = node.store.find(trials[0].id).committed
    with cache.entry(committed, node.store) as used:
        assert used is not None
        cache.shrink()
        assert [path for path in used.parent.iterdir() if path.is_dir()] == [used]
    cache.shrink()
    assert [path.name for path in (node.scratch / "parents").iterdir() if path.name[0] != "."] == []


def test_the_corpus_is_shared_by_all_attempts_of_a_node(tmp_path: Path) -> None:
    seen: list[Path] = []

    def look(trial: TrialSpec, context: TrialContext) -> TrialStatus:
        (context.folder / "corpus" / trial.id).touch()
        seen.append((context.folder / "corpus").resolve())
        return run_trial(trial, context)

    node = Node(tmp_path / "node", str(tmp_path / "storage"))
    node.run(TRUNK, run=look)
    node.run(BRANCH, run=look)
    assert seen == [tmp_path / "node/corpus"] * 2
    assert len(list(seen[0].iterdir())) == 2


def test_a_storage_outage_delays_a_trial_and_loses_nothing(s3_server, s3_uri: str, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    node = Node(tmp_path / "node", s3_uri)

    def outage(trial: TrialSpec, context: TrialContext) -> TrialStatus:
        status = run_trial(trial, context)
        s3_server.stop()
        threading.Timer(1.0, s3_server.start).start()
        return status

    patient = Store.of(s3_uri, patience_s=60.0)
    from scaling_trainer.storage.staging import run_staged

    status = run_staged(TRUNK, node.context, store=patient, attempt="000001-00000000-1", run=outage)
    assert [status.metrics.loss] == expected(TRUNK)
    assert len(node.store.find(TRUNK.id).committed) == 1
