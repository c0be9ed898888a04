"""The compute-optimal model: which N and D to train with C FLOPs.

Minimising E + A/N^alpha + B/D^beta along D = C/(6N) gives, in closed form (Hoffmann et al. 2022, arXiv:2203.15556,
equation 4), N* = G (C/6)^(beta/(alpha+beta)) with G = (alpha A / (beta B))^(1/(alpha+beta)). Where a token costs more
than 6 N FLOPs the optimum solves alpha A/N^alpha = beta B/D^beta * d log(C/D)/d log N, by bisection. Of other laws of N
and D the least loss is looked for along the line of equal compute; approaches 1 and 2 say N* and D* themselves.
"""

from dataclasses import dataclass

import numpy as np

from scaling_api.v1alpha1.status import Answer, Interval
from scaling_laws.answers.along_compute import line_of, optimum_along
from scaling_laws.answers.backtest import Reach
from scaling_laws.answers.flops import SIX_ND, FlopsPerToken
from scaling_laws.answers.predict import loss_at
from scaling_laws.answers.surface import NoSurfaceError, Surface, has_surface, inseparable, surface_draws, surface_of
from scaling_laws.answers.values import (
    FINDINGS_OF_AN_ANSWER,
    caveats,
    clipped,
    finding_statuses,
    interval,
)
from scaling_laws.fit.compound.frontier import is_frontier
from scaling_laws.law import Finding, FindingCode, Law
from scaling_laws.points import FloatArray

QUESTION = "trainingFlops"
BISECTIONS = 80
"""Halvings of log N; from a bracket of 200 they end below the rounding of a double."""
WIDEST = 600.0
"""Largest |log N| that is looked at: beyond it a double overflows."""
OPEN_SHARE = 0.005
"""Share of draws without an optimum from which an answer says so."""


def compute_optimal(
    law: Law,
    training_flops: float,
    *,
    level: float = 0.95,
    flops: FlopsPerToken = SIX_ND,
    reach: Reach | None = None,
) -> Answer:
    """Return the N and D that a law expects to do best with C training FLOPs, with loss, D/N and intervals.

    Args:
        law: of the loss over N and D, or of the best N and D; any other gives a refused answer.
        training_flops: C.
        level: of the intervals over the law's draws; without draws there are none.
        flops: FLOPs a token at each size; 6 N unless the sweep says otherwise.
        reach: how far back-tests went, see `reach_of`; without it, whether C is an extrapolation is not judged.
    """
    if reason := inseparable(law):
        return refused_answer(law.form, QUESTION, training_flops, f"The best N and D cannot be told: {reason}")
    try:
        best = _optimum(law, training_flops, flops, level)
    except NoSurfaceError as reason:
        return refused_answer(law.form, QUESTION, training_flops, str(reason))
    if not abs(best.log_size) <= WIDEST:
        return refused_answer(law.form, QUESTION, training_flops, _no_optimum(law, training_flops, best.log_size))
    N, D = best.model(training_flops, flops)
    sizes, tokens, ratios = best.spreads(training_flops, flops)
    findings = [
        *caveats(law),
        *best.findings,
        *_open(best.size_draws, level),
        *(reach.findings(training_flops, N, D) if reach else ()),
    ]
    return Answer(
        law=law.form,
        question=QUESTION,
        at=training_flops,
        training_flops=training_flops,
        parameters=interval(N, sizes, level=level),
        tokens=interval(D, tokens, level=level),
        tokens_per_parameter=interval(D / N, ratios, level=level),
        loss=best.loss,
        findings=finding_statuses(findings, limit=FINDINGS_OF_AN_ANSWER),
    )


@dataclass(frozen=True)
class _Optimum:
    """The best size, as far as a law knows it."""

    log_size: float
    size_draws: FloatArray | None = None
    """Of each draw; -inf or inf where its loss falls all the way to an end."""
    loss: Interval | None = None
    findings: tuple[Finding, ...] = ()
    log_tokens: float | None = None
    """Where the law says it by itself; else what the compute leaves."""
    token_draws: FloatArray | None = None

    def model(self, training_flops: float, flops: FlopsPerToken) -> tuple[float, float]:
        """Return N and D."""
        N, D = _model(np.asarray(self.log_size), training_flops, flops)
        return float(N), float(D) if self.log_tokens is None else float(np.exp(self.log_tokens))

    def spreads(
        self, training_flops: float, flops: FlopsPerToken
    ) -> tuple[FloatArray | None, FloatArray | None, FloatArray | None]:
        """Return N, D and D/N of each draw; a draw without an optimum stands at the end that it runs to."""
        if self.size_draws is None or self.token_draws is None:
            return _spreads(self.size_draws, training_flops, flops)
        with np.errstate(over="ignore"):
            N, D = np.exp(self.size_draws), np.exp(self.token_draws)
        return N, D, D / N


def _optimum(law: Law, training_flops: float, flops: FlopsPerToken, level: float) -> _Optimum:
    """Return the best size: in closed form, as the law says it, or by looking for the least loss.

    Raises:
        NoSurfaceError: the law does not tell models of one compute apart.
    """
    if is_frontier(law):
        return _of_power_laws(law, training_flops)
    if not has_surface(law):
        line = line_of(law, training_flops, flops)
        log_N, draws = optimum_along(line)
        loss = line.expected(log_N, level=level) if np.isfinite(log_N) else None
        return _Optimum(log_N, draws, loss, line.findings())
    surface, surfaces = surface_of(law), surface_draws(law)
    log_N = float(optimal_log_size(surface, training_flops, flops))
    draws = None if surfaces is None else optimal_log_size(surfaces, training_flops, flops)[:, 0]
    N, D = _model(np.asarray(log_N), training_flops, flops)
    return _Optimum(log_N, draws, loss_at(law, float(N), float(D), level=level) if abs(log_N) <= WIDEST else None)


def _of_power_laws(law: Law, training_flops: float) -> _Optimum:
    """Return what N* = k_N C^a and D* = k_D C^b say."""
    log_C = np.log(training_flops)
    log_size, log_tokens = (float(np.log(law[k]) + law[power] * log_C) for k, power in (("k_N", "a"), ("k_D", "b")))
    if law.draws is None or not len(law.draws):
        return _Optimum(log_size, log_tokens=log_tokens)
    draws = dict(zip((c.name for c in law.coefficients), law.draws.T, strict=True))
    sizes, tokens = (np.log(draws[k]) + draws[power] * log_C for k, power in (("k_N", "a"), ("k_D", "b")))
    return _Optimum(log_size, sizes, log_tokens=log_tokens, token_draws=tokens)


def optimal_log_size(surface: Surface, training_flops: float, flops: FlopsPerToken = SIX_ND) -> FloatArray:
    """Return log N* of each surface; -inf or inf where the loss falls all the way to an end."""
    log_C = np.log(training_flops)
    with np.errstate(divide="ignore", invalid="ignore"):
        pull = np.log(surface.alpha) + np.log(surface.A) - np.log(surface.beta) - np.log(surface.B)
        closed = (pull + surface.beta * (log_C - np.log(6.0))) / (surface.alpha + surface.beta)
    if flops == SIX_ND:
        return np.asarray(closed)
    x = np.where(np.isfinite(closed), closed, 0.0)
    low, high = x - 100.0, x + 100.0
    for _ in range(BISECTIONS):
        x = 0.5 * (low + high)
        N = np.exp(np.clip(x, -WIDEST, WIDEST))
        slope = pull - surface.alpha * x + surface.beta * (log_C - np.log(flops(N))) - np.log(flops.elasticity(N))
        low, high = np.where(slope > 0, x, low), np.where(slope > 0, high, x)
    return np.where(np.isfinite(closed), x, closed)


def refused_answer(law: str, question: str, at: float, reason: str) -> Answer:
    """Return the answer that there is none, and why."""
    return Answer(law=law, question=question, at=at, refused=clipped(reason))


def _model(log_N: FloatArray, training_flops: float, flops: FlopsPerToken) -> tuple[FloatArray, FloatArray]:
    with np.errstate(over="ignore"):
        N = np.exp(np.clip(log_N, -WIDEST, WIDEST))
    return N, training_flops / flops(N)


def _spreads(
    log_draws: FloatArray | None, training_flops: float, flops: FlopsPerToken
) -> tuple[FloatArray | None, FloatArray | None, FloatArray | None]:
    """Return N, D and D/N of each draw; a draw without an optimum stands at the end that it runs to."""
    if log_draws is None:
        return None, None, None
    N, D = _model(log_draws, training_flops, flops)
    N, D = (np.where(log_draws < -WIDEST, low, x) for x, low in ((N, 0.0), (D, np.inf)))
    N, D = (np.where(log_draws > WIDEST, high, x) for x, high in ((N, np.inf), (D, 0.0)))
    with np.errstate(divide="ignore", invalid="ignore"):
        return N, D, D / N


def _no_optimum(law: Law, training_flops: float, log_N: float) -> str:
    if not has_surface(law):
        end = "more tokens for a smaller model" if log_N < 0 else "a larger model on fewer tokens"
        return (
            f"There is no compute-optimal model at C = {training_flops:.4g}: the loss that the law expects falls all "
            f"the way towards {end}. Widen the sweep in both N and D."
        )
    flat = [name for name in ("A", "B", "alpha", "beta") if not law[name] > 0]
    verb = "are" if len(flat) > 1 else "is"
    why = f"{' and '.join(flat)} of the law {verb} zero" if flat else "the law's coefficients are too extreme"
    return (
        f"There is no compute-optimal model at C = {training_flops:.4g}: {why}, so that the loss improves all the way "
        "towards one end. Widen the sweep in both N and D."
    )


def _open(log_draws: FloatArray | None, level: float) -> list[Finding]:
    if log_draws is None:
        return []
    share = float(np.mean(~(np.abs(log_draws) <= WIDEST)))
    if share < OPEN_SHARE:
        return []
    text = f"In {share:.1%} of the bootstrap draws the law has no interior optimum: the {level:.0%} interval is wide "
    return [Finding(FindingCode.WEAKLY_IDENTIFIED, text + "or open. Widen the sweep in both N and D.")]
