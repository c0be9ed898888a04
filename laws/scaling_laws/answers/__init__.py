"""Answers from a fitted law: predictions, the compute-optimal model, back-tests; `serving` adds the penalties."""

from scaling_laws.answers.backtest import Backtest, Reach, backtest, backtests, failed_backtests, reach_of
from scaling_laws.answers.flops import SIX_ND, FlopsPerToken, flops_per_token
from scaling_laws.answers.frontier import compute_optimal
from scaling_laws.answers.predict import UnreachableLossError, loss_at, needed_parameters, needed_tokens
from scaling_laws.answers.surface import NoSurfaceError, Surface, surface_draws, surface_of

__all__ = [
    "SIX_ND",
    "Backtest",
    "FlopsPerToken",
    "NoSurfaceError",
    "Reach",
    "Surface",
    "UnreachableLossError",
    "backtest",
    "backtests",
    "compute_optimal",
    "failed_backtests",
    "flops_per_token",
    "loss_at",
    "needed_parameters",
    "needed_tokens",
    "reach_of",
    "surface_draws",
    "surface_of",
]
