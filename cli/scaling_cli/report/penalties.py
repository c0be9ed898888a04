"""A pipeline's penalty formula as a function of N and D."""

from collections.abc import Callable, Sequence
from typing import TypeAlias

import numpy as np

from scaling_cli.report.surface import DenseLaw
from scaling_laws.analysis import PipelineLaw, PipelinePoint
from scaling_laws.penalties import Sizes, penalty_at
from scaling_laws.points import FloatArray

PredictPenalty: TypeAlias = Callable[[PipelineLaw, float, FloatArray], FloatArray | None]
"""Penalty in nats by a pipeline's formula, at N and many D; None where it cannot be told."""


def penalty_predictor(points: Sequence[PipelinePoint], law: DenseLaw | None) -> PredictPenalty:
    """Return the pipelines' chosen formulas, at the compressible share that each size was measured to have."""
    share = {p.N: 1.0 if p.compressible is None else p.compressible / p.N for p in points}

    def predict(pipeline: PipelineLaw, N: float, D: FloatArray) -> FloatArray | None:
        if pipeline.chosen is None:
            return None
        at = Sizes(np.full_like(D, N), D, np.full_like(D, N * share.get(N, 1.0)))
        try:
            return np.asarray(penalty_at(pipeline.chosen, at, None if law is None else law.surface), dtype=np.float64)
        except (AssertionError, StopIteration):  # a formula built on a dense law that the report does not draw
            return None

    return predict
