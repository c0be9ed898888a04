"""Trials from fresh weights to compressed models, interrupted anywhere, end in the same numbers."""

import json
import os
import random
import shutil
import signal
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import TypeAlias

import numpy as np
import pytest
import torch

from scaling_api.v1alpha1.experiment import ExperimentSpec
from scaling_api.v1alpha1.status import TrialState
from scaling_api.v1alpha1.trial import TrialKind, TrialMetrics, TrialSpec, TrialStatus
from scaling_laws.design.plan import plan_trials
from scaling_trainer import loop, train
from scaling_trainer.checkpoint import CheckpointCorruptError, CheckpointMissingError, load_checkpoint
from scaling_trainer.context import TrialContext
from scaling_trainer.data.corpus import CorpusError, fingerprint
from scaling_trainer.evaluate import load_document_losses
from scaling_trainer.train import run_trial

Build: TypeAlias = Callable[..., ExperimentSpec]

PIPELINES = (
    {"name": "int4", "stages": [{"quantize": {"weightBits": 4, "groupSize": 8}}]},
    {"name": "p50", "stages": [{"prune": {"sparsity": 0.5}}, {"finetune": {"fraction": 0.25}}]},
    {
        "name": "p30-int8",
        "stages": [
            {"prune": {"sparsity": 0.3, "method": "LayerMagnitude"}},
            {"finetune": {"fraction": 0.25}},
            {"quantize": {"weightBits": 8}},
        ],
    },
)


def context_of(spec: ExperimentSpec, folder: Path) -> TrialContext:
    language = spec.task.language
    assert language is not None
    return TrialContext(
        task=spec.task, training=spec.training, corpus_fingerprint=fingerprint(language.corpus), folder=folder
    )


def planned(spec: ExperimentSpec) -> tuple[TrialSpec, ...]:
    language = spec.task.language
    assert language is not None
    return plan_trials(spec, corpus_fingerprint=fingerprint(language.corpus)).trials


def run_all(trials: Iterable[TrialSpec], context: TrialContext) -> dict[str, TrialStatus]:
    return {trial.id: run_trial(trial, context) for trial in trials}


def weights_of(folder: Path, trial_id: str) -> dict[str, torch.Tensor]:
    return dict(load_checkpoint(folder / "trials" / trial_id / "final").tensors)


def assert_same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> None:
    assert one.keys() == other.keys()
    assert all(torch.equal(one[name], other[name]) for name in one)


def of_kind(trials: Iterable[TrialSpec], kind: TrialKind) -> list[TrialSpec]:
    return [trial for trial in trials if trial.kind is kind]


def test_every_kind_gives_what_it_should(experiment: Build, tmp_path: Path) -> None:
    spec = experiment(tokens=(10_240, 20_480), compression=PIPELINES)
    trials = planned(spec)
    statuses = run_all(trials, context_of(spec, tmp_path))
    assert all(status.state is TrialState.SUCCEEDED for status in statuses.values())
    by_kind = {kind: [statuses[t.id] for t in of_kind(trials, kind)] for kind in TrialKind}
    assert all(s.metrics == TrialMetrics(training_loss=s.metrics.training_loss) for s in by_kind[TrialKind.TRUNK])
    short, long = (status.metrics for status in by_kind[TrialKind.DENSE])
    assert short.loss is not None
    assert long.loss is not None
    assert long.loss < short.loss < 5.5
    assert short.bits_per_byte == pytest.approx(short.loss / np.log(2))
    assert short.documents == long.documents
    assert short.nonzero_parameters == trials[0].parameters.matmul
    assert not list(tmp_path.glob("trials/*/progress"))


def test_compressed_trials_are_what_their_stages_say(experiment: Build, tmp_path: Path) -> None:
    spec = experiment(compression=PIPELINES)
    trials = planned(spec)
    statuses = run_all(trials, context_of(spec, tmp_path))
    named = {trial.pipeline.name: trial for trial in of_kind(trials, TrialKind.PIPELINE)}
    dense = of_kind(trials, TrialKind.DENSE)[0]

    def zeros(name: str) -> float:
        tensors = weights_of(tmp_path, named[name].id)
        blocks = [t for key, t in tensors.items() if key.startswith("model.blocks.") and t.dim() == 2]
        return sum(int((t == 0).sum()) for t in blocks) / sum(t.numel() for t in blocks)

    assert zeros("p50") == pytest.approx(0.5, abs=1e-3)
    assert zeros("p30-int8") >= 0.299  # rounded down in each matrix
    metrics = {name: statuses[trial.id].metrics for name, trial in named.items()}
    dense_bytes = statuses[dense.id].metrics.stored_bytes or 0
    assert all((m.stored_bytes or 0) < dense_bytes for m in metrics.values())
    assert metrics["p50"].nonzero_parameters == dense.parameters.matmul - dense.parameters.blocks // 2
    assert metrics["int4"].training_loss is None
    control = of_kind(trials, TrialKind.CONTROL)[0]
    assert (control.start_step, control.end_step) == (named["p50"].start_step, named["p50"].end_step)
    assert not torch.equal(
        weights_of(tmp_path, control.id)["model.head.weight"], weights_of(tmp_path, dense.id)["model.head.weight"]
    )


def test_trunk_does_not_depend_on_where_it_is_cut(experiment: Build, tmp_path: Path) -> None:
    cut, whole = experiment(tokens=(5_120, 10_240)), experiment(tokens=(10_240,))
    cut_trials, whole_trials = planned(cut), planned(whole)
    run_all(cut_trials, context_of(cut, tmp_path / "cut"))
    run_all(whole_trials, context_of(whole, tmp_path / "whole"))
    ends = [of_kind(trials, TrialKind.DENSE)[-1].id for trials in (cut_trials, whole_trials)]
    assert ends[0] == ends[1]
    one, other = (weights_of(tmp_path / name, ends[0]) for name in ("cut", "whole"))
    assert_same(one, other)


class _StopError(BaseException):
    pass


def _interrupted(trial: TrialSpec, context: TrialContext, monkeypatch: pytest.MonkeyPatch, *, after: int) -> bool:
    """Run with a checkpoint every step, die after so many; say whether it died."""
    saves = 0
    save = train.save_checkpoint

    def counting(folder: Path, *args: object, **kwargs: object) -> object:
        nonlocal saves
        result = save(folder, *args, **kwargs)  # type: ignore[arg-type]
        saves += folder.name == "progress"
        if saves == after:
            raise _StopError
        return result

    with monkeypatch.context() as patched:
        patched.setattr(train, "save_checkpoint", counting)
        try:
            run_trial(trial, replace(context, checkpoint_interval_s=0.0))
        except _StopError:
            return True
    return False


def test_interrupted_trials_end_in_the_same_bits(
    experiment: Build, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = experiment(tokens=(5_120,), compression=PIPELINES)
    trials = planned(spec)
    expected = run_all(trials, context_of(spec, tmp_path / "whole"))
    context = context_of(spec, tmp_path / "cut")
    for trial in trials:
        steps = trial.end_step - trial.start_step
        died = [_interrupted(trial, context, monkeypatch, after=max(1, steps // 3)) for _ in range(2)]
        assert died == [steps > 1] * 2
        status = run_trial(trial, context)
        assert status.metrics == expected[trial.id].metrics
        assert_same(weights_of(tmp_path / "cut", trial.id), weights_of(tmp_path / "whole", trial.id))


def test_killed_processes_end_in_the_same_numbers(experiment: Build, tmp_path: Path) -> None:
    spec = experiment(tokens=(20_480,), compression=PIPELINES[1:2])
    trials = planned(spec)
    expected = run_all(trials, context_of(spec, tmp_path / "whole"))
    context = replace(context_of(spec, tmp_path / "cut"), checkpoint_interval_s=0.01)
    delays = random.Random(0)
    for _ in range(12):
        child = os.fork()
        if child == 0:
            run_all(trials, context)
            os._exit(0)
        time.sleep(delays.uniform(0.02, 0.4))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    found = run_all(trials, context)
    assert {t: s.metrics for t, s in found.items()} == {t: s.metrics for t, s in expected.items()}


def test_finished_trial_returns_its_result_again(
    experiment: Build, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = experiment(tokens=(5_120,))
    trials, context = planned(spec), context_of(spec, tmp_path)
    first = run_all(trials, context)
    monkeypatch.setattr(loop, "training_loss", None)  # any step would raise
    assert run_all(trials, context) == first


def test_damaged_progress_is_done_again(experiment: Build, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = experiment(tokens=(5_120,))
    trials = planned(spec)
    expected = run_all(trials, context_of(spec, tmp_path / "whole"))
    context = context_of(spec, tmp_path / "cut")
    assert _interrupted(trials[0], context, monkeypatch, after=5)
    (tensors,) = (context.trial_folder(trials[0].id) / "progress").glob("tensors-*")
    tensors.write_bytes(b"torn")
    assert run_trial(trials[0], context).metrics == expected[trials[0].id].metrics


def test_checkpoint_is_named_relative_to_the_results_folder(experiment: Build, tmp_path: Path) -> None:
    spec = experiment(tokens=(5_120,))
    trunk = planned(spec)[0]
    status = run_trial(trunk, context_of(spec, tmp_path))
    assert status.checkpoint is not None
    assert status.checkpoint.path == f"trials/{trunk.id}/final"
    assert load_checkpoint(tmp_path / status.checkpoint.path).step == trunk.end_step


def test_parents_checkpoint_must_be_there_and_whole(experiment: Build, tmp_path: Path) -> None:
    spec = experiment(tokens=(5_120,))
    (trunk, dense), context = planned(spec), context_of(spec, tmp_path)
    with pytest.raises(CheckpointMissingError):
        run_trial(dense, context)
    run_trial(trunk, context)
    (tensors,) = (context.trial_folder(trunk.id) / "final").glob("tensors-*")
    tensors.write_bytes(tensors.read_bytes()[:-1] + b"?")
    with pytest.raises(CheckpointCorruptError):
        run_trial(dense, context)


def test_document_losses_are_stored_and_pair_points(experiment: Build, tmp_path: Path) -> None:
    spec = experiment(tokens=(5_120,), compression=PIPELINES[:1], treatments=({"name": "clean"},))
    trials = [t for t in planned(spec) if t.kind is not TrialKind.TRUNK]
    statuses = run_all(planned(spec), context_of(spec, tmp_path))
    stored = [load_document_losses(tmp_path / "trials" / trial.id) for trial in trials]
    for trial, losses in zip(trials, stored, strict=True):
        assert losses.mean == statuses[trial.id].metrics.loss
        assert losses.standard_error == statuses[trial.id].metrics.loss_standard_error
    assert np.array_equal(stored[0].document, stored[1].document)
    assert np.array_equal(stored[0].tokens, stored[1].tokens)
    assert stored[0].tokens.sum() == 64 * 16


def test_noise_raises_the_training_loss_and_not_the_evaluations_text(experiment: Build, tmp_path: Path) -> None:
    spec = experiment(treatments=({"name": "clean"}, {"name": "noisy", "tokenNoise": 0.5}))
    trials = planned(spec)
    statuses = run_all(trials, context_of(spec, tmp_path))
    clean, noisy = (statuses[t.id].metrics for t in of_kind(trials, TrialKind.DENSE))
    assert clean.training_loss is not None
    assert noisy.training_loss is not None
    assert noisy.loss is not None
    assert noisy.training_loss > clean.training_loss + 0.5
    assert noisy.loss < noisy.training_loss - 0.5


def test_seeds_differ(experiment: Build, tmp_path: Path) -> None:
    spec = experiment(tokens=(5_120,), seeds=2)
    trials = planned(spec)
    statuses = run_all(trials, context_of(spec, tmp_path))
    losses = {statuses[t.id].metrics.loss for t in of_kind(trials, TrialKind.DENSE)}
    assert len(losses) == 2


@pytest.mark.parametrize(
    ("recipe", "reason", "sentence"),
    [
        ({"learningRate": 10.0, "warmupSteps": 0}, "LossAboveUniform", "above 5.55 nats"),
        ({"learningRate": 10.0, "warmupSteps": 0, "weightDecay": 10.0}, "NonFiniteLoss", "not a number"),
    ],
)
def test_divergence_is_a_result_with_a_reason(
    experiment: Build, tmp_path: Path, recipe: dict[str, float], reason: str, sentence: str
) -> None:
    spec = experiment(tokens=(20_480,), training=recipe)
    status = run_trial(planned(spec)[0], context_of(spec, tmp_path))
    assert status.state is TrialState.DIVERGED
    assert status.failure is not None
    assert status.failure.reason == reason
    assert sentence in status.failure.message
    assert status.failure.failure_class == "Application"
    json.loads(status.model_dump_json())


def test_high_loss_does_not_end_post_training(experiment: Build, tmp_path: Path) -> None:
    harsh = {"name": "p99", "stages": [{"prune": {"sparsity": 0.99}}, {"finetune": {"fraction": 1.0}}]}
    spec = experiment(tokens=(10_240,), compression=(harsh,))
    statuses = run_all(planned(spec), context_of(spec, tmp_path))
    assert all(status.state is TrialState.SUCCEEDED for status in statuses.values())


def test_corpus_too_small_for_the_tokens_is_refused(experiment: Build, tmp_path: Path) -> None:
    spec = experiment(tokens=(10_000_000,))
    with pytest.raises(CorpusError, match="are asked for"):
        run_trial(planned(spec)[0], context_of(spec, tmp_path))


def test_progress_is_reported_up_to_the_last_step(
    experiment: Build, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "_REPORT_INTERVAL_S", 0.0)
    spec = experiment(tokens=(5_120,))
    told: list[tuple[int, int]] = []
    context = replace(context_of(spec, tmp_path), report=lambda step, last: told.append((step, last)))
    trunk = planned(spec)[0]
    run_trial(trunk, context)
    assert told == [(step, trunk.end_step) for step in range(1, trunk.end_step + 1)]


def test_process_settings_are_left_as_they_were(experiment: Build, tmp_path: Path) -> None:
    spec = experiment(tokens=(5_120,))
    run_trial(planned(spec)[0], context_of(spec, tmp_path))
    assert not torch.are_deterministic_algorithms_enabled()
    shutil.rmtree(tmp_path)
