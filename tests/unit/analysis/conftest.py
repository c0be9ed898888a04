"""Synthetic sweeps: real trial records whose losses follow a law that is known."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import pytest

from scaling_api.v1alpha1 import ExperimentSpec
from scaling_api.v1alpha1.status import TrialState
from scaling_api.v1alpha1.trial import (
    ModelShape,
    ParameterCounts,
    TrialKind,
    TrialMetrics,
    TrialRecord,
    TrialSpec,
    TrialStatus,
)  # fmt: skip
from scaling_laws.law import Estimate, IntervalMethod, Law

TRUTH = {"E": 1.2, "A": 60.0, "B": 900.0, "alpha": 0.42, "beta": 0.60}
WIDTHS = (16, 24, 32, 64)
TOKENS = (500_000, 800_000, 1_250_000, 2_000_000)
STAGES = {
    "int4": [{"quantize": {"weightBits": 4}}],
    "int3": [{"quantize": {"weightBits": 3}}],
    "p50": [{"prune": {"sparsity": 0.5}}, {"finetune": {"fraction": 0.1}}],
}
BITS = {"dense": 32.0, "int4": 5.0, "int3": 4.0, "p50": 17.0}

Penalty = Callable[[float, float, float], float]
"""Of N, D and the blocks' parameters, in nats."""


def identity(*parts: object) -> str:
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:16]


def true_loss(N: float, D: float) -> float:
    return float(TRUTH["E"] + TRUTH["A"] * N ** -TRUTH["alpha"] + TRUTH["B"] * D ** -TRUTH["beta"])


def counts_of(width: int) -> ParameterCounts:
    return ParameterCounts(matmul=24 * width**2 + 256 * width, blocks=24 * width**2, total=24 * width**2 + 640 * width)


@dataclass
class SweepBuilder:
    """Builds records; every attribute may be changed before `records()`."""

    widths: Sequence[int] = WIDTHS
    tokens: Sequence[int] = TOKENS
    seeds: int = 2
    pipelines: dict[str, Penalty] = field(default_factory=dict)
    noise: float = 0.004
    """Standard deviation of the log loss, half of it shared by a trunk."""
    penalty_noise: float = 0.003
    treatment: str = "clean"
    per_token: Callable[[int], float] = lambda N: 6.0 * N

    def spec(self, **overrides: object) -> ExperimentSpec:
        base: dict[str, object] = {
            "task": {"language": {"corpus": {"python": {}}, "contextLength": 64}},
            "sweep": {
                "model": {"parameters": [counts_of(width).matmul for width in self.widths]},
                "data": {"tokens": list(self.tokens)},
                "compression": [{"name": "dense"}, *({"name": n, "stages": STAGES[n]} for n in self.pipelines)],
                "seeds": self.seeds,
            },
            "laws": [{"name": "chinchilla", "form": "Chinchilla", "bootstrap": 200}],
        }
        return ExperimentSpec.model_validate(base | overrides)

    def records(self) -> list[TrialRecord]:
        rng = np.random.default_rng(11)
        found: list[TrialRecord] = []
        for width in self.widths:
            for seed in range(self.seeds):
                shared = rng.standard_normal()
                found.append(self.trial(width, max(self.tokens), seed, TrialKind.TRUNK, loss=None))
                for tokens in self.tokens:
                    wobble = np.exp(self.noise * (shared + rng.standard_normal()) / np.sqrt(2))
                    found += self._models(width, tokens, seed, float(wobble), rng)
        return found

    def _models(self, width: int, tokens: int, seed: int, wobble: float, rng: np.random.Generator) -> list[TrialRecord]:
        counts = counts_of(width)
        loss = true_loss(counts.matmul, tokens) * wobble
        found = [self.trial(width, tokens, seed, TrialKind.DENSE, loss=loss)]
        for name, penalty in self.pipelines.items():
            control, D = found[0].spec.id, tokens
            if name == "p50":
                D = int(tokens * 1.1)
                found.append(self.trial(width, D, seed, TrialKind.CONTROL, loss=loss - 0.01))
                control = found[-1].spec.id
            base = next(r for r in found if r.spec.id == control).status.metrics.loss
            assert base is not None
            cost = penalty(counts.matmul, D, counts.blocks) + self.penalty_noise * rng.standard_normal()
            found.append(
                self.trial(width, D, seed, TrialKind.PIPELINE, loss=base + cost, pipeline=name, control=control)
            )
        return found

    def trial(
        self, width: int, tokens: int, seed: int, kind: TrialKind, *, loss: float | None, pipeline: str = "dense",
        control: str | None = None, state: TrialState = TrialState.SUCCEEDED, workers: int = 1,
    ) -> TrialRecord:  # fmt: skip
        counts = counts_of(width)
        flops = self.per_token(counts.matmul) * tokens
        spec = TrialSpec(
            id=identity(width, tokens, seed, kind, pipeline, self.treatment, workers), kind=kind, task="language",
            control=control, trajectory=identity(width, seed, self.treatment, workers), parameters=counts,
            model=ModelShape(family="decoder", layers=2, width=width, heads=1, context=64, vocabulary=256),
            tokens=tokens, start_step=0, end_step=tokens // 512, flops=flops / 3, cumulative_flops=flops,
            treatment={"name": self.treatment}, seed=seed, compute={"workers": workers},
            pipeline={"name": pipeline, "stages": STAGES.get(pipeline, [])},
        )  # fmt: skip
        metrics = TrialMetrics(
            loss=loss, effective_bits=BITS[pipeline], stored_bytes=int(counts.total * BITS[pipeline] / 8),
            inference_flops=2.0 * counts.matmul,
        )  # fmt: skip
        return TrialRecord(spec=spec, status=TrialStatus(state=state, attempts=1, metrics=metrics))


@pytest.fixture
def sweep() -> SweepBuilder:
    return SweepBuilder()


@pytest.fixture
def truth() -> dict[str, float]:
    return dict(TRUTH)


def law_of(values: dict[str, float], *, spread: float = 0.0, draws: int = 400, form: str = "Chinchilla") -> Law:
    """Return a law with given coefficients, whose draws scatter in log A, log B, alpha and beta."""
    rng = np.random.default_rng(5)
    names = tuple(values)
    centre = np.array([values[name] for name in names])
    table = None if draws == 0 else centre * np.exp(spread * rng.standard_normal((draws, len(names))))
    return Law(
        form=form, formula="L = E + A/N^alpha + B/D^beta", objective=0.0, objective_name="log-huber", points=32,
        coefficients=tuple(Estimate(name, values[name]) for name in names), clusters=8, level=0.95, draws=table,
        interval_method=IntervalMethod.PAIRS, residuals=np.zeros(32), fitted=np.ones(32), goodness={},
        certificate=None, findings=(), details={},
    )  # fmt: skip


@pytest.fixture
def make_law() -> Callable[..., Law]:
    return law_of
