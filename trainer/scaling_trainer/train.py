"""Runs one trial: a trunk segment, a decay branch, a control or a pipeline. Plain PyTorch, no orchestration.

A trial writes in its own folder alone: `progress`, a checkpoint every so often, removed at the end; `documents.npz`,
the held-out loss by document; `final`, the model (for trials that have children: with the optimizer's moments) and
the trial's result. Killed at any moment and run again, it goes on from what is there and gives the same numbers.
"""

import math
import platform
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch

from scaling_api.v1alpha1.compression import Quantize
from scaling_api.v1alpha1.status import TrialState
from scaling_api.v1alpha1.trial import (
    Environment,
    Failure,
    FailureClass,
    Timings,
    TrialKind,
    TrialMetrics,
    TrialSpec,
    TrialStatus,
)
from scaling_trainer.allocator import keep_freed_memory
from scaling_trainer.checkpoint import (
    CheckpointCorruptError,
    CheckpointMissingError,
    LoadedCheckpoint,
    load_checkpoint,
    save_checkpoint,
)
from scaling_trainer.compress.measure import Weight, weigh
from scaling_trainer.compress.pipeline import compress, stages_of
from scaling_trainer.context import TrialContext
from scaling_trainer.data.corpus import PreparedCorpus, load_corpus
from scaling_trainer.data.windows import EvaluationWindows
from scaling_trainer.evaluate import by_document, save_document_losses
from scaling_trainer.loop import DivergedError, Stretch, TrainingState, Watch, train
from scaling_trainer.models.decoder import Decoder, initialise
from scaling_trainer.optim import build_optimizer
from scaling_trainer.parallel.share import share
from scaling_trainer.tasks.language import evaluate_tokens, training_batches

FINAL = "final"
PROGRESS = "progress"


def run_trial(trial: TrialSpec, context: TrialContext) -> TrialStatus:
    """Train, compress and evaluate one trial and return how it went: Succeeded or Diverged.

    Safe to repeat at any time: a finished trial returns its result again, an interrupted one goes on from its last
    checkpoint. With one worker of one thread the numbers are the same to the bit, however often it was interrupted.
    Of several workers the first reads and writes all files and returns the result; the others return none.

    Raises:
        CorpusError: the corpus cannot be used, is another one, or is too small.
        CheckpointMissingError: a parent has left no checkpoint.
        CheckpointCorruptError: a parent's checkpoint is damaged.
        OSError: a checkpoint could not be written.
    """
    keep_freed_memory()
    attempt = _Attempt(trial, context)
    with _deterministic_algorithms():
        found = attempt.finished() if attempt.is_first else None
        if context.world.told(found is not None):
            return found or TrialStatus()
        return attempt.run()


@dataclass(frozen=True)
class _Attempt:
    """One try of a trial."""

    trial: TrialSpec
    context: TrialContext

    @property
    def is_first(self) -> bool:
        """It is the worker that reads and writes files."""
        return self.context.world.rank == 0

    def finished(self) -> TrialStatus | None:
        """Return the result that an earlier attempt has left, if it has."""
        folder = self.context.trial_folder(self.trial.id)
        final = _loaded_or_removed(folder, FINAL)
        if final is None:
            return None
        shutil.rmtree(folder / PROGRESS, ignore_errors=True)
        status = TrialStatus.model_validate(final.notes["status"])
        return self._saved(status, final.tensors)

    def run(self) -> TrialStatus:
        """Do what is left to do."""
        clock = _Stopwatch()
        corpus = self._corpus()
        state = self._start(clock)
        try:
            self._do_stages(state, corpus, clock)
            if not self.is_first:
                return TrialStatus()
            metrics = self._measure(state, corpus)
        except DivergedError as error:
            return self._diverged(error, state, clock)
        status = TrialStatus(
            state=TrialState.SUCCEEDED,
            metrics=metrics,
            timings=self._timings(state, clock),
            environment=_environment(self.context.world.device),
        )
        has_children = self.trial.kind in {TrialKind.TRUNK, TrialKind.DENSE}
        kept = {n: t for n, t in state.tensors().items() if has_children or not n.startswith("exp_avg")}
        saved = self._saved(status, kept)
        shutil.rmtree(self.context.trial_folder(self.trial.id) / PROGRESS, ignore_errors=True)
        return saved

    def _corpus(self) -> PreparedCorpus:
        language = self.context.task.language
        if language is None:
            raise NotImplementedError(f"the task {self.context.task.name}")
        return load_corpus(
            language.corpus,
            self.context.training,
            folder=self.context.folder,
            expected=self.context.corpus_fingerprint,
        )

    def _start(self, clock: "_Stopwatch") -> TrainingState:
        """Return the state to go on from, the same on every worker."""
        trial, world = self.trial, self.context.world
        model = Decoder(trial.model).to(world.device)
        losses = torch.zeros(trial.end_step - trial.start_step, device=world.device)
        optimizer = build_optimizer(model, self.context.training)
        state = TrainingState(model, optimizer, trial.start_step, losses, trial.start_step)
        if self.is_first:
            self._fill(state, clock)
        if world.size > 1:
            share(state, world)
        return state

    def _fill(self, state: TrainingState, clock: "_Stopwatch") -> None:
        """Make `state` an earlier attempt's, the parent's last, or fresh weights."""
        trial = self.trial
        progress = _loaded_or_removed(self.context.trial_folder(trial.id), PROGRESS)
        if progress is not None:
            _resume(state, progress, clock)
        elif trial.parents:
            parent = load_checkpoint(self.context.trial_folder(trial.parents[0]) / FINAL)
            assert parent.step == trial.start_step, f"trial {trial.id} starts at another step than its parent ends"
            state.restore(parent.tensors, step=parent.step)
        else:
            assert trial.start_step == 0, f"trial {trial.id} has no parent to start from at step {trial.start_step}"
            initialise(state.model.cpu(), seed=trial.seed)  # one generator's numbers, whatever computes on them
            state.model.to(self.context.world.device)

    def _do_stages(self, state: TrainingState, corpus: PreparedCorpus, clock: "_Stopwatch") -> None:
        world, clip = self.context.world, self.context.training.gradient_clip
        batches = training_batches(self.trial, self.context.training, corpus, world=world)
        watch = Watch(
            report=lambda step: self.context.report(step, self.trial.end_step),
            save=lambda current: self._save_progress(current, clock),
            save_interval_s=self.context.checkpoint_interval_s,
        )
        for index, stage in enumerate(stages_of(self.trial, self.context.training)):
            if index < state.stage:
                continue
            state.stage = index
            if isinstance(stage, Stretch):
                train(state, batches, stage, gradient_clip=clip, watch=watch, world=world)
            else:
                compress(state, stage)
                world.copy(state.tensors().values())

    def _save_progress(self, state: TrainingState, clock: "_Stopwatch") -> None:
        if not self.is_first:
            return
        notes = {"stage": state.stage, "training_seconds": state.training_seconds, "seconds": clock.seconds}
        folder = self.context.trial_folder(self.trial.id) / PROGRESS
        save_checkpoint(folder, state.tensors(), step=state.step, notes=notes)

    def _measure(self, state: TrainingState, corpus: PreparedCorpus) -> TrialMetrics:
        trial = self.trial
        if trial.kind is TrialKind.TRUNK:
            return TrialMetrics(training_loss=state.recent_loss)
        sample = EvaluationWindows(
            corpus, context=trial.model.context, sequences=self.context.training.evaluation_sequences
        )
        tokens = evaluate_tokens(state.model, sample)
        documents = by_document(tokens.losses, sample.documents)
        if not math.isfinite(documents.mean):
            raise DivergedError("NonFiniteLoss", f"the held-out loss is {documents.mean} after step {state.step}")
        save_document_losses(self.context.trial_folder(trial.id), documents)
        weighed = weigh(trial.model, trial.parameters, _weights(state), _quantize(trial))
        return TrialMetrics(
            loss=documents.mean,
            loss_standard_error=documents.standard_error,
            bits_per_byte=documents.mean / math.log(2),
            accuracy=float(tokens.correct.mean()),
            documents=len(documents.document),
            training_loss=state.recent_loss,
            nonzero_parameters=weighed.nonzero_parameters,
            effective_bits=weighed.effective_bits,
            stored_bytes=weighed.stored_bytes,
            inference_flops=weighed.inference_flops,
        )

    def _timings(self, state: TrainingState, clock: "_Stopwatch") -> Timings:
        tokens = (state.step - state.first_step) * self.context.training.batch_size * self.trial.model.context
        return Timings(
            seconds=clock.seconds,
            training_seconds=state.training_seconds,
            tokens_per_second=tokens / state.training_seconds if state.training_seconds else None,
        )

    def _diverged(self, error: DivergedError, state: TrainingState, clock: "_Stopwatch") -> TrialStatus:
        failure = Failure(failure_class=FailureClass.APPLICATION, reason=error.reason, message=str(error))
        return TrialStatus(
            state=TrialState.DIVERGED,
            failure=failure,
            timings=self._timings(state, clock),
            environment=_environment(self.context.world.device),
        )

    def _saved(self, status: TrialStatus, tensors: Mapping[str, torch.Tensor]) -> TrialStatus:
        """Return `status` with its checkpoint, saved; of the same status and tensors it is the same checkpoint."""
        folder = self.context.trial_folder(self.trial.id) / FINAL
        notes = {"status": status.model_dump(mode="json", exclude_none=True)}
        checkpoint = save_checkpoint(folder, tensors, step=self.trial.end_step, notes=notes)
        relative = folder.relative_to(self.context.folder).as_posix()
        return status.model_copy(update={"checkpoint": checkpoint.model_copy(update={"path": relative})})


class _Stopwatch:
    """Seconds since the trial began, those of earlier attempts included."""

    def __init__(self) -> None:
        self._started = time.monotonic()
        self.earlier_seconds = 0.0

    @property
    def seconds(self) -> float:
        return self.earlier_seconds + time.monotonic() - self._started


def _resume(state: TrainingState, progress: LoadedCheckpoint, clock: _Stopwatch) -> None:
    state.restore(progress.tensors, step=progress.step)
    state.losses.copy_(progress.tensors["training_losses"])
    notes = {name: float(str(value)) for name, value in progress.notes.items()}
    state.stage = int(notes["stage"])
    state.training_seconds = notes["training_seconds"]
    clock.earlier_seconds = notes["seconds"]


def _loaded_or_removed(folder: Path, name: str) -> LoadedCheckpoint | None:
    """Return the trial's own checkpoint; None without one. A damaged one is removed: its work is done again."""
    try:
        return load_checkpoint(folder / name)
    except CheckpointMissingError:
        return None
    except CheckpointCorruptError:
        shutil.rmtree(folder / name)
        return None


def _weights(state: TrainingState) -> dict[str, Weight]:
    weights = state.model.block_weights().items()
    return {
        name: Weight(
            rows=weight.shape[0],
            columns=weight.shape[1],
            kept=int(state.masks[name].sum(dtype=torch.float64)) if name in state.masks else weight.numel(),
        )
        for name, weight in weights
    }


def _quantize(trial: TrialSpec) -> Quantize | None:
    operations = [stage.operation for stage in trial.pipeline.stages]
    return next((operation for operation in operations if isinstance(operation, Quantize)), None)


def _environment(device: torch.device) -> Environment:
    return Environment(
        python=platform.python_version(),
        torch=torch.__version__,
        device=torch.cuda.get_device_name(device) if device.type == "cuda" else device.type,
        threads=torch.get_num_threads(),
    )


@contextmanager
def _deterministic_algorithms() -> Iterator[None]:
    """Refuse operations whose result varies from run to run; uninitialised memory stays so: all of it is written."""
    before = torch.are_deterministic_algorithms_enabled()
    fills = torch.utils.deterministic.fill_uninitialized_memory  # type: ignore[attr-defined]
    torch.use_deterministic_algorithms(True)
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before)
        torch.utils.deterministic.fill_uninitialized_memory = fills  # type: ignore[attr-defined]
