"""The loss surface E + A/N^alpha + B/D^beta: of a law's estimate, or of all its bootstrap draws at once."""

from dataclasses import dataclass

import numpy as np

from scaling_laws.forms import OWN_FORM
from scaling_laws.law import FindingCode, Law
from scaling_laws.points import FloatArray

COEFFICIENTS = ("E", "A", "B", "alpha", "beta")


class NoSurfaceError(ValueError):
    """The law is no surface over N and D with an optimum; the message says what it is instead."""


@dataclass(frozen=True)
class Surface:
    """Coefficients of one surface, or of many; a field of shape (draws, 1) broadcasts against N and D of shape (n,)."""

    E: FloatArray
    A: FloatArray
    B: FloatArray
    alpha: FloatArray
    beta: FloatArray

    def loss(self, N: FloatArray, D: FloatArray) -> FloatArray:
        """Return E + A/N^alpha + B/D^beta, in nats."""
        return self.E + self.size_term(N) + self.token_term(D)

    def size_term(self, N: FloatArray) -> FloatArray:
        """Return A/N^alpha: what the model's size still costs."""
        return _term(self.A, self.alpha, N)

    def token_term(self, D: FloatArray) -> FloatArray:
        """Return B/D^beta: what the tokens' number still costs."""
        return _term(self.B, self.beta, D)


def surface_of(law: Law) -> Surface:
    """Return the surface of the law's estimate; fields are of shape ().

    Raises:
        NoSurfaceError: the law lacks one of the five coefficients.
    """
    _require(law)
    return Surface(*(np.asarray(law[name]) for name in COEFFICIENTS))


def surface_draws(law: Law) -> Surface | None:
    """Return the surfaces of the law's bootstrap draws, fields of shape (draws, 1); None without a bootstrap.

    Raises:
        NoSurfaceError: the law lacks one of the five coefficients.
    """
    _require(law)
    if law.draws is None or not len(law.draws):
        return None
    names = [estimate.name for estimate in law.coefficients]
    return Surface(*(law.draws[:, names.index(name), None] for name in COEFFICIENTS))


def has_surface(law: Law) -> bool:
    """Whether the law is of the form E + A/N^alpha + B/D^beta."""
    return law.form != OWN_FORM and {estimate.name for estimate in law.coefficients} == set(COEFFICIENTS)


def no_surface(law: Law) -> str:
    """Return the sentence that says why a law has no optimum over N and D."""
    return (
        f"A {law.form} law ({law.formula}) has no optimum over N and D: "
        "ask a law of form Chinchilla or Joint for compute-optimal sizes."
    )


def inseparable(law: Law) -> str | None:
    """Return the sentence that says why a law does not tell N from D; None where it does, or is linear."""
    if law.form == "Linear":
        return None
    return next((finding.message for finding in law.findings if finding.code is FindingCode.COLLINEAR), None)


def _require(law: Law) -> None:
    if not has_surface(law):
        raise NoSurfaceError(no_surface(law))


def _term(amplitude: FloatArray, exponent: FloatArray, x: FloatArray) -> FloatArray:
    """Return amplitude * x^-exponent by logarithms, so that huge amplitudes with steep exponents do not overflow."""
    with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
        return np.asarray(np.exp(np.log(amplitude) - exponent * np.log(x)), dtype=np.float64)
