"""The training loop: steps from one to another at a schedule's rate, told about, checked, and resumable."""

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

from scaling_trainer.context import ALONE, World
from scaling_trainer.models.decoder import Decoder
from scaling_trainer.optim import moments, restore_moments, set_rate
from scaling_trainer.tasks.language import Batches, training_loss

CHECK_STEPS = 20
"""The training loss is looked at every so many steps: each look waits for the device."""
CHECKS_ABOVE_UNIFORM = 3
"""A run diverged when so many checks in a row are above the loss of guessing uniformly."""
REPORTED_STEPS = 100
"""The training loss of a trial is the mean over its last steps, so many at most."""
_REPORT_INTERVAL_S = 1.0


class DivergedError(Exception):
    """Training cannot go on; `reason` is one word for programs."""

    def __init__(self, reason: str, message: str) -> None:
        self.reason = reason
        super().__init__(message)


@dataclass
class TrainingState:
    """All that a run carries from step to step; what is saved and restored is complete, so resuming is exact."""

    model: Decoder
    optimizer: torch.optim.AdamW
    step: int
    """Steps done, of the model's whole life."""
    losses: Tensor
    """Training loss of each step since `first_step`, shape (steps of the trial,); zero where not done yet."""
    first_step: int
    masks: dict[str, Tensor] = field(default_factory=dict)
    """One where a weight is kept, by name of parameter."""
    stage: int = 0
    """Index of the stage that is going on."""
    training_seconds: float = 0.0

    def tensors(self) -> dict[str, Tensor]:
        """Return everything that is a tensor, by name."""
        model = {f"model.{name}": p.detach() for name, p in self.model.named_parameters()}
        masks = {f"mask.{name}": mask for name, mask in self.masks.items()}
        return {**model, **masks, **moments(self.optimizer, self.model), "training_losses": self.losses}

    @torch.no_grad()
    def restore(self, tensors: Mapping[str, Tensor], *, step: int) -> None:
        """Take model, moments and masks from what `tensors` returned after `step` steps."""
        for name, parameter in self.model.named_parameters():
            parameter.copy_(tensors[f"model.{name}"])
        device = self.model.embedding.device
        masks = {name.removeprefix("mask."): t for name, t in tensors.items() if name.startswith("mask.")}
        self.masks = {name: mask.to(device) for name, mask in masks.items()}
        restore_moments(self.optimizer, self.model, tensors, step=step)
        self.step = step

    @property
    def recent_loss(self) -> float | None:
        """Mean training loss of the last steps, None before the first."""
        done = self.step - self.first_step
        return float(self.losses[max(0, done - REPORTED_STEPS) : done].mean()) if done else None


@dataclass(frozen=True)
class Stretch:
    """Steps that follow one schedule."""

    end: int
    rate: Callable[[int], float]
    """From the step to the factor of the peak rate."""
    uniform_loss: float = math.inf
    """A training loss above this for three checks in a row is a divergence."""
    checked_from: int = 0
    """Step of the first such check."""


@dataclass(frozen=True)
class Watch:
    """What goes on beside the steps."""

    report: Callable[[int], None]
    """Called now and then with the number of steps done."""
    save: Callable[[TrainingState], None]
    """Called every so often to save the state."""
    save_interval_s: float


def train(
    state: TrainingState,
    batches: Batches,
    stretch: Stretch,
    *,
    gradient_clip: float,
    watch: Watch,
    world: World = ALONE,
) -> None:
    """Train `state` to the end of `stretch`, along with the other workers of its world.

    Raises:
        DivergedError: a loss that is not finite, or one above the uniform guess's for three checks in a row.
    """
    parameters = list(state.model.parameters())
    masked = [(p, state.masks[name]) for name, p in state.model.named_parameters() if name in state.masks]
    clock = _Clock(state, watch)
    model = world.shared(state.model)
    agreed = state.step
    while state.step < stretch.end:
        set_rate(state.optimizer, stretch.rate(state.step))
        loss = training_loss(model, *batches(state.step))
        if batches.weight != 1.0:
            loss = loss * batches.weight
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(parameters, gradient_clip, foreach=True)
        state.optimizer.step()
        for parameter in parameters:
            parameter.grad = None
        _hold_at_zero(masked)
        state.losses[state.step - state.first_step] = loss.detach()
        state.step += 1
        is_checked = state.step % CHECK_STEPS == 0 or state.step == stretch.end
        if is_checked:
            world.average(state.losses[agreed - state.first_step : state.step - state.first_step])
            agreed = state.step
            _check(state, stretch)
        clock.tick(may_save=is_checked or world.size == 1)  # between checks the losses are this worker's alone
    clock.stop()


@torch.no_grad()
def _hold_at_zero(masked: list[tuple[torch.nn.Parameter, Tensor]]) -> None:
    for parameter, mask in masked:
        parameter.mul_(mask)


def _check(state: TrainingState, stretch: Stretch) -> None:
    """Raise when the run diverged. It reads the kept losses alone, so a resumed run decides alike."""
    done = state.step - state.first_step
    recent = state.losses[max(0, done - CHECK_STEPS * CHECKS_ABOVE_UNIFORM) : done]
    if not bool(torch.isfinite(recent).all()):
        raise DivergedError(
            "NonFiniteLoss",
            f"the training loss became infinite or not a number by step {state.step}: lower spec.training.learningRate",
        )
    is_whole = len(recent) == CHECK_STEPS * CHECKS_ABOVE_UNIFORM and state.step % CHECK_STEPS == 0
    if is_whole and state.step - len(recent) >= stretch.checked_from:
        means = recent.view(CHECKS_ABOVE_UNIFORM, CHECK_STEPS).mean(1)
        if bool((means > stretch.uniform_loss).all()):
            raise DivergedError(
                "LossAboveUniform",
                f"the training loss was above {stretch.uniform_loss:.2f} nats, that of guessing uniformly, for "
                f"{len(recent)} steps before step {state.step}: lower spec.training.learningRate",
            )


class _Clock:
    """Reports and saves when it is time, and counts the seconds of the steps between."""

    def __init__(self, state: TrainingState, watch: Watch) -> None:
        self._state = state
        self._watch = watch
        self._last = time.monotonic()
        self._next_report = self._last
        self._next_save = self._last + watch.save_interval_s

    def tick(self, *, may_save: bool) -> None:
        now = time.monotonic()
        if now >= self._next_report:
            self._next_report = now + _REPORT_INTERVAL_S
            self._watch.report(self._state.step)
        if may_save and now >= self._next_save:
            self.stop()
            self._watch.save(self._state)
            self._last = time.monotonic()
            self._next_save = self._last + self._watch.save_interval_s

    def stop(self) -> None:
        """Add the seconds since the last save to the training's."""
        now = time.monotonic()
        self._state.training_seconds += now - self._last
        self._last = now
