"""The best model to serve: which N, D and pipeline stay within a limit of bytes, FLOPs or time, for a budget."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from scaling_api.v1alpha1.laws import ParameterConvention
from scaling_api.v1alpha1.status import Answer
from scaling_api.v1alpha1.trial import TrialKind, TrialRecord
from scaling_laws.answers.backtest import Reach
from scaling_laws.answers.flops import SIX_ND, FlopsPerToken
from scaling_laws.answers.frontier import optimal_log_size, refused_answer
from scaling_laws.answers.limits import BySize, Limit
from scaling_laws.answers.surface import Surface, has_surface, inseparable, no_surface, surface_draws, surface_of
from scaling_laws.answers.values import FINDINGS_OF_AN_ANSWER, finding_statuses, interval
from scaling_laws.law import Finding, FindingCode, Law
from scaling_laws.penalties import PipelineLaw, Sizes, penalty_at, penalty_draws
from scaling_laws.points import FloatArray
from scaling_laws.records import UNQUANTIZED_BITS, count_parameters, dense_records, has_result

SPAN = np.log(1e3)
"""The search reaches a factor of 1,000 to either side of the dense optimum, and never beyond the memory."""
NODES = 61
HALVINGS = 24
"""The least share of the budget that is considered, as a power of a half."""
ROUNDS = 4
"""Each round searches the two cells beside the last round's best node: 4 rounds place log N within 1e-5."""
SURE = 0.9
"""Share of draws that the best pipeline must win to stand without a finding."""


@dataclass(frozen=True)
class Served:
    """A pipeline as it would be served, known at some sizes and carried on in proportion beyond them."""

    pipeline: str
    stored_bytes: BySize
    inference_flops: BySize
    """Forward FLOPs a token."""
    compressible: FloatArray
    """M/N at those sizes."""
    law: PipelineLaw | None
    """Its penalty; None for the dense model."""

    def sizes(self, N: FloatArray, D: FloatArray) -> Sizes:
        """Return where the penalty is to be evaluated."""
        return Sizes(N, D, N * np.interp(np.log(N), self.stored_bytes.log_sizes, self.compressible))


def served_pipelines(
    records: Iterable[TrialRecord],
    laws: Sequence[PipelineLaw],
    *,
    convention: ParameterConvention,
    treatment: str,
) -> tuple[Served, ...]:
    """Return the dense model and each pipeline that has a penalty law and a measured size, dense first."""
    records = tuple(records)
    dense = dense_records(records, treatment=treatment)
    if not dense:
        return ()
    compressed = [r for r in records if r.spec.kind is TrialKind.PIPELINE and has_result(r)]
    served = [_served(dense[0].spec.pipeline.name, dense, None, convention)]
    for law in laws:
        of_pipeline = [r for r in compressed if r.spec.pipeline.name == law.pipeline]
        served.append(_served(law.pipeline, of_pipeline, law, convention))
    return tuple(entry for entry in served if entry is not None)


def best_within(
    law: Law,
    limit: Limit,
    *,
    training_flops: float,
    served: Sequence[Served],
    level: float = 0.95,
    flops: FlopsPerToken = SIX_ND,
    reach: Reach | None = None,
    seed: int = 0,
) -> Answer:
    """Return the N, D and pipeline of least expected loss within a limit of serving, trained with at most C FLOPs.

    Args:
        law: of the dense models.
        limit: of stored bytes, of FLOPs a token, or of the time of one.
        training_flops: budget C; the answer says how much of it to spend, since compression costs more the more
            tokens a parameter has seen.
        served: the candidates.
        level: of the intervals over the law's draws and normal draws of the penalty's coefficients.
        flops: FLOPs a token at each size.
        reach: how far back-tests went.
        seed: of the normal draws.
    """
    fitting = [(i, entry) for i, entry in enumerate(served) if limit.largest_log_size(entry) >= 0]
    if reason := _obstacle(law, served, fitting, limit):
        return refused_answer(law.form, limit.question, limit.at, reason)
    whole = _Search(surface_of(law), surface_draws(law), training_flops, flops, seed)
    options = [_thrifty(whole, entry, limit).best(entry, limit, stream=i) for i, entry in fitting]
    best = min(options, key=lambda option: option.loss)
    N, D = best.N, best.training_flops / float(flops(np.asarray(best.N)))
    findings = [
        *_rivals(best, options),
        *(best.served.law.findings if best.served.law else ()),
        *(reach.findings(best.training_flops, N, D) if reach else ()),
    ]
    sizes = best.N_draws
    tokens = None if sizes is None else best.training_flops / flops(sizes)
    ratios = None if sizes is None or tokens is None else tokens / sizes
    return Answer(
        law=law.form,
        question=limit.question,
        at=float(limit.at),
        training_flops=best.training_flops,
        pipeline=best.served.pipeline,
        parameters=interval(N, sizes, level=level),  # the limit cuts these short: plain percentiles
        tokens=interval(D, tokens, level=level),
        tokens_per_parameter=interval(D / N, ratios, level=level),
        loss=interval(best.loss, best.loss_draws, level=level),
        findings=finding_statuses(findings, limit=FINDINGS_OF_AN_ANSWER),
    )


def _obstacle(law: Law, served: Sequence[Served], fitting: Sequence[tuple[int, Served]], limit: Limit) -> str | None:
    """Return why there can be no answer."""
    if not has_surface(law):
        return no_surface(law)
    if reason := inseparable(law):
        return f"The best N and D cannot be told: {reason}"
    if not served:
        return "No stored bytes were measured: nothing tells what fits."
    return None if fitting else f"Not even a model of one parameter stays within {limit}."


@dataclass(frozen=True)
class _Option:
    """The best model of one pipeline."""

    served: Served
    training_flops: float
    """What of the budget it spends."""
    N: float
    loss: float
    N_draws: FloatArray | None
    """Its size in each draw."""
    loss_draws: FloatArray | None
    """Loss of the best model (of the estimate, not of the draw) in each draw."""
    least_draws: FloatArray | None
    """Loss of the draw's own best model."""


@dataclass(frozen=True)
class _Search:
    surface: Surface
    draws: Surface | None
    training_flops: float
    flops: FlopsPerToken
    seed: int

    def best(self, served: Served, limit: Limit, *, stream: int) -> _Option:
        """Return the best size of one pipeline; `stream` keeps the pipelines' draws apart."""
        largest = limit.largest_log_size(served)
        low, high = self._bracket(self.surface, largest)
        log_N, loss = _least(lambda x: self._loss(served, x), low[None], high[None])
        if self.draws is None:
            return _Option(served, self.training_flops, float(np.exp(log_N[0])), float(loss[0]), None, None, None)
        draws = self.draws
        normal = np.random.default_rng([self.seed, stream]).standard_normal((len(draws.E), 3))
        low, high = self._bracket(draws, largest)
        sizes, least = _least(lambda x: self._loss_draws(served, draws, x, normal), low[:, 0], high[:, 0])
        here = self._loss_draws(served, draws, log_N[:, None], normal)[:, 0]
        return _Option(served, self.training_flops, float(np.exp(log_N[0])), float(loss[0]), np.exp(sizes), here, least)

    def _bracket(self, surface: Surface, largest: float) -> tuple[FloatArray, FloatArray]:
        optimum = optimal_log_size(surface, self.training_flops, self.flops)
        centre = np.where(np.isfinite(optimum), optimum, largest)
        return np.minimum(centre, largest) - SPAN, np.minimum(centre + SPAN, largest)

    def _loss(self, served: Served, log_N: FloatArray) -> FloatArray:
        N, D = self._model(log_N)
        penalty = penalty_at(served.law.used, served.sizes(N, D), self.surface) if served.law else 0.0
        return self.surface.loss(N, D) + penalty

    def _loss_draws(self, served: Served, draws: Surface, log_N: FloatArray, normal: FloatArray) -> FloatArray:
        N, D = self._model(log_N)
        law = served.law
        penalty = penalty_draws(law.used, served.sizes(N, D), draws, normal=normal) if law else 0.0
        return draws.loss(N, D) + penalty

    def _model(self, log_N: FloatArray) -> tuple[FloatArray, FloatArray]:
        N = np.exp(log_N)
        return N, self.training_flops / self.flops(N)


def _thrifty(whole: _Search, served: Served, limit: Limit) -> _Search:
    """Return the search that spends the best share of the budget: all, a half, a quarter and so on.

    A dense model always gains from more tokens; a penalty may grow faster than the dense loss falls.
    """
    if served.law is None:
        return whole
    shares = [replace(whole, training_flops=whole.training_flops / 2**k, draws=None) for k in range(HALVINGS)]
    best = min(shares, key=lambda search: search.best(served, limit, stream=0).loss)
    return replace(best, draws=whole.draws)


def _least(
    loss: Callable[[FloatArray], FloatArray], low: FloatArray, high: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Return the place (rows,) and value (rows,) of the least loss between `low` and `high`, by nested grids."""
    rows = np.arange(len(low))
    for _ in range(ROUNDS):
        grid = np.linspace(low, high, NODES, axis=1)
        values = loss(grid)
        best = np.argmin(np.where(np.isnan(values), np.inf, values), axis=1)
        low, high = grid[rows, np.maximum(best - 1, 0)], grid[rows, np.minimum(best + 1, NODES - 1)]
    return grid[rows, best], values[rows, best]


def _served(
    pipeline: str, records: Sequence[TrialRecord], law: PipelineLaw | None, convention: ParameterConvention
) -> Served | None:
    """Return the pipeline's bytes, FLOPs and compressible share by size; None where no size was measured."""
    known = [(r, size, flops) for r in records if (size := _stored_bytes(r)) and (flops := _inference_flops(r))]
    if not known:
        return None
    N = np.array([count_parameters(r.spec.parameters, convention) for r, _, _ in known], dtype=np.float64)
    share = np.array([r.spec.parameters.blocks for r, _, _ in known]) / N
    costs = (np.log([size for _, size, _ in known]), np.log([flops for _, _, flops in known]))
    levels = np.unique(N)
    log_bytes, log_flops, compressible = (
        np.array([column[level == N].mean() for level in levels]) for column in (*costs, share)
    )
    return Served(
        pipeline,
        BySize(np.log(levels), np.maximum.accumulate(log_bytes)),
        BySize(np.log(levels), np.maximum.accumulate(log_flops)),
        compressible,
        law,
    )


def _inference_flops(record: TrialRecord) -> float:
    """Return the measured forward FLOPs a token, else twice the weights that are not zero."""
    metrics, counts = record.status.metrics, record.spec.parameters
    return metrics.inference_flops or 2.0 * (metrics.nonzero_parameters or counts.matmul)


def _stored_bytes(record: TrialRecord) -> float | None:
    """Return the measured bytes, else effective bits times parameters; 32-bit weights for a dense model."""
    metrics, counts = record.status.metrics, record.spec.parameters
    if metrics.stored_bytes:
        return float(metrics.stored_bytes)
    if metrics.effective_bits:
        return metrics.effective_bits * counts.matmul / 8
    return UNQUANTIZED_BITS * counts.total / 8 if record.spec.kind is TrialKind.DENSE else None


def _rivals(best: _Option, options: Sequence[_Option]) -> Iterable[Finding]:
    """Say so where the draws disagree on the best pipeline."""
    losses = [option.least_draws for option in options]
    if best.least_draws is None or len(options) < 2:
        return
    winners = np.argmin(np.array(losses), axis=0)
    shares = {option.served.pipeline: float(np.mean(winners == i)) for i, option in enumerate(options)}
    won = shares.pop(best.served.pipeline)
    if won < SURE:
        rival = max(shares, key=lambda name: shares[name])
        text = f"Pipeline {best.served.pipeline} is best in {won:.0%} of the draws only, {rival} in {shares[rival]:.0%}"
        yield Finding(FindingCode.WEAKLY_IDENTIFIED, f"{text}: the sweep does not tell them apart here.")
