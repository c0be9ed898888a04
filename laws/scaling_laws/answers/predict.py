"""What a law expects at a model, and what a loss would take."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from scaling_api.v1alpha1.status import Interval
from scaling_laws.answers.surface import Surface, surface_draws, surface_of
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


@dataclass(frozen=True)
class _Given:
    """What is known of a model, and the term that the other of N and D must bring down."""

    spent: FloatArray
    """Loss of what is known: the floor and its own term."""
    amplitude: FloatArray
    exponent: FloatArray


def needed_tokens(law: Law, N: float, loss: float, *, level: float = 0.95) -> Interval:
    """Return the tokens D at which a model of N parameters is expected to reach a loss.

    Draws in which it never does leave the upper limit open.

    Raises:
        UnreachableLossError: the loss lies below what N parameters reach with endless tokens.
        NoSurfaceError: the law is not of the form E + A/N^alpha + B/D^beta.
    """

    def given(surface: Surface) -> _Given:
        return _Given(surface.E + surface.size_term(np.asarray([N])), surface.B, surface.beta)

    return _needed(law, loss, given, level=level, limit=f"for N = {N:.4g}: with endless tokens")


def needed_parameters(law: Law, D: float, loss: float, *, level: float = 0.95) -> Interval:
    """Return the parameters N at which a model is expected to reach a loss after D tokens.

    Draws in which it never does leave the upper limit open.

    Raises:
        UnreachableLossError: the loss lies below what D tokens reach with endless parameters.
        NoSurfaceError: the law is not of the form E + A/N^alpha + B/D^beta.
    """

    def given(surface: Surface) -> _Given:
        return _Given(surface.E + surface.token_term(np.asarray([D])), surface.A, surface.alpha)

    return _needed(law, loss, given, level=level, limit=f"for D = {D:.4g}: however large the model,")


def _needed(law: Law, loss: float, given: Callable[[Surface], _Given], *, level: float, limit: str) -> Interval:
    here, draws = given(surface_of(law)), surface_draws(law)
    value = float(_solve(loss, here)[0])
    if not np.isfinite(value):
        floor = float(here.spent[0])
        raise UnreachableLossError(f"A loss of {loss:.6g} is out of reach {limit} this law expects {floor:.6g}.")
    return interval(value, None if draws is None else _solve(loss, given(draws))[:, 0], level=level)


def _solve(loss: float, given: _Given) -> FloatArray:
    """Return x with spent + amplitude x^-exponent = loss; inf where there is no such x."""
    room = loss - given.spent
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        x = np.exp((np.log(given.amplitude) - np.log(room)) / given.exponent)
    return np.where((room > 0) & (given.exponent > 0) & ~np.isnan(x), x, np.inf)
