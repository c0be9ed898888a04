"""What a law expects at a model, and what a loss would take."""

import numpy as np

from scaling_api.v1alpha1.status import Interval
from scaling_laws.answers.surface import surface_draws, surface_of
from scaling_laws.answers.values import interval
from scaling_laws.law import Law
from scaling_laws.points import FloatArray


class UnreachableLossError(ValueError):
    """No number of tokens (parameters) brings the loss that low; the message says how low it gets."""


def loss_at(law: Law, N: float, D: float, *, level: float = 0.95) -> Interval:
    """Return the expected loss of a dense model of N parameters after D tokens, in nats.

    The interval is that of the law's mean; one run scatters around it by its seed.

    Raises:
        NoSurfaceError: the law is not of the form E + A/N^alpha + B/D^beta.
    """
    size, tokens = np.asarray([N]), np.asarray([D])
    draws = surface_draws(law)
    spread = None if draws is None else draws.loss(size, tokens)[:, 0]
    return interval(
        float(surface_of(law).loss(size, tokens)[0]),
        spread,
        level=level,
    )


def needed_tokens(law: Law, N: float, loss: float, *, level: float = 0.95) -> Interval:
    """Return the tokens D at which a model of N parameters is expected to reach a loss.

    Draws in which it never does leave the upper limit open.

    Raises:
        UnreachableLossError: the loss lies below what N parameters reach with endless tokens.
        NoSurfaceError: the law is not of the form E + A/N^alpha + B/D^beta.
    """
    surface, draws, size = surface_of(law), surface_draws(law), np.asarray([N])
    floor = float(surface.E + surface.size_term(size)[0])
    value = float(_solve(np.asarray([loss]) - floor, surface.B, surface.beta)[0])
    if not np.isfinite(value):
        raise UnreachableLossError(
            f"A loss of {loss:.6g} is out of reach for N = {N:.4g}: with endless tokens this law expects {floor:.6g}."
        )
    spread = None if draws is None else _solve(loss - draws.E - draws.size_term(size), draws.B, draws.beta)[:, 0]
    return interval(value, spread, level=level)


def needed_parameters(law: Law, D: float, loss: float, *, level: float = 0.95) -> Interval:
    """Return the parameters N at which a model is expected to reach a loss after D tokens.

    Draws in which it never does leave the upper limit open.

    Raises:
        UnreachableLossError: the loss lies below what D tokens reach with endless parameters.
        NoSurfaceError: the law is not of the form E + A/N^alpha + B/D^beta.
    """
    surface, draws, tokens = surface_of(law), surface_draws(law), np.asarray([D])
    floor = float(surface.E + surface.token_term(tokens)[0])
    value = float(_solve(np.asarray([loss]) - floor, surface.A, surface.alpha)[0])
    if not np.isfinite(value):
        raise UnreachableLossError(
            f"A loss of {loss:.6g} is out of reach for D = {D:.4g}: however large the model, this law expects "
            f"{floor:.6g}."
        )
    spread = None if draws is None else _solve(loss - draws.E - draws.token_term(tokens), draws.A, draws.alpha)[:, 0]
    return interval(value, spread, level=level)


def _solve(room: FloatArray, amplitude: FloatArray, exponent: FloatArray) -> FloatArray:
    """Return x with amplitude x^-exponent = room; inf where there is no such x."""
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        x = np.exp((np.log(amplitude) - np.log(room)) / exponent)
    return np.where((room > 0) & (exponent > 0) & ~np.isnan(x), x, np.inf)
