"""What is minimised, and how intervals are made."""

from dataclasses import dataclass
from math import isfinite
from typing import Literal, TypeAlias, get_args

from scaling_laws.law import IntervalMethod

FEWEST_FOR_BOOTSTRAP_T = 4
"""Trajectories below which studentised draws are noise: of two or three, each draw's own error is near to nothing, or
the same whatever is drawn."""

Loss: TypeAlias = Literal["log-huber", "huber", "log-mse", "mse", "log-t", "t", "log-huber-density", "huber-density"]


@dataclass(frozen=True)
class Objective:
    """The sum over points that a fit minimises."""

    loss: Loss = "log-huber"
    """Of residuals of log loss (log-huber, log-mse, log-t) or of the loss itself; mse is a mean, huber a sum. t is the
    negative log likelihood under Student's t with a scale and degrees of freedom that the points decide, huber-density
    that under Huber's density with such a scale."""
    delta: float = 1e-3
    """Where Huber's loss turns from a parabola (1/2 r^2) into a line; in nats for huber, relative for log-huber."""
    scale: float | None = None
    """Of a density; None: estimated."""
    shape: float | None = None
    """Of a density: degrees of freedom of t (None: estimated), or the scales k at which Huber's turns exponential
    (None: 1.345)."""

    def __post_init__(self) -> None:
        if self.loss not in get_args(Loss):
            raise ValueError(f"There is no loss named {self.loss!r}; the losses are {', '.join(get_args(Loss))}.")
        for name, value in (("scale", self.scale), ("shape", self.shape)):
            if value is not None and not (isfinite(value) and value > 0):
                raise ValueError(f"The {name} of a density must be a positive finite number, not {value}.")
        if not (isfinite(self.delta) and self.delta > 0):
            raise ValueError(f"Huber's delta must be a positive finite number, not {self.delta}.")

    @property
    def is_log(self) -> bool:
        """Whether residuals are of log loss."""
        return self.loss.startswith("log-")

    @property
    def is_huber(self) -> bool:
        """Whether large residuals count linearly."""
        return self.loss.endswith("huber")

    @property
    def is_student(self) -> bool:
        """Whether it is the likelihood of Student's t."""
        return self.loss in {"log-t", "t"}

    @property
    def is_density(self) -> bool:
        """Whether it is the likelihood of a density whose scale the points decide."""
        return self.is_student or self.loss.endswith("huber-density")

    @property
    def has_likelihood(self) -> bool:
        """Whether it says how probable residuals are; a Huber sum with a delta by decree says nothing of the kind."""
        return not self.is_huber

    @property
    def name(self) -> str:
        """What a law calls its objective."""
        if self.is_density:
            name = "Student's t" if self.is_student else "Huber's density"
            return f"{self.loss} (negative log likelihood of {name}{self._density})"
        return f"{self.loss} (sum, delta {self.delta:g})" if self.is_huber else f"{self.loss} (mean)"

    @property
    def _density(self) -> str:
        """Shape and scale, where they are known."""
        if self.scale is None or self.shape is None:
            return ""
        shape = f"{self.shape:.3g} degrees of freedom" if self.is_student else f"k = {self.shape:.4g}"
        return f", {shape}, scale {self.scale:.4g}"


@dataclass(frozen=True)
class IntervalOptions:
    """How standard errors and confidence limits are made."""

    method: IntervalMethod | None = None
    """None chooses: wild-cluster bootstrap-t of four trajectories or more, else the pairs bootstrap."""
    draws: int = 1000
    """Bootstrap draws; 0 leaves out intervals (Linear keeps its least-squares ones)."""
    level: float = 0.95
    """Share of repeated experiments whose intervals cover the truth."""
    seed: int = 0
    """Of the draws: the same seed gives the same intervals."""

    def __post_init__(self) -> None:
        if self.draws < 0:
            raise ValueError(f"The number of bootstrap draws must be 0 or more, not {self.draws}.")
        if not 0 < self.level < 1:
            raise ValueError(f"The confidence level must lie between 0 and 1, not {self.level}.")
        if self.seed < 0:
            raise ValueError(f"The seed must be 0 or more, not {self.seed}.")
