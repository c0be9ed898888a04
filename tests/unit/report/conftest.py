"""A sweep like the quickstart's: four widths, four amounts of data, two seeds, four pipelines."""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from types import SimpleNamespace

import numpy as np
import pytest

from scaling_api.v1alpha1 import ScalingExperiment
from scaling_api.v1alpha1.compression import Pipeline
from scaling_api.v1alpha1.status import TrialState
from scaling_api.v1alpha1.trial import (
    Environment,
    ModelShape,
    ParameterCounts,
    Timings,
    TrialKind,
    TrialMetrics,
    TrialRecord,
    TrialSpec,
    TrialStatus,
)
from scaling_laws.analysis import Analysis, analyse

TRUE = {"E": 1.2, "A": 60.0, "B": 900.0, "alpha": 0.42, "beta": 0.6}
WIDTHS = {16: 10_240, 24: 20_736, 32: 33_024, 64: 115_200}
TOKENS = (500_000, 800_000, 1_250_000, 2_000_000)
PIPELINES = {"int4": (4.5, 0.02, 0.03), "int3": (3.5, 0.09, 0.5), "p50-tuned": (17.0, 0.012, 0.2)}
STAGES = {
    "int4": [{"quantize": {"weightBits": 4}}],
    "int3": [{"quantize": {"weightBits": 3}}],
    "p50-tuned": [{"prune": {"sparsity": 0.5}}, {"finetune": {"fraction": 0.1}}],
}


def trial_id(*parts: object) -> str:
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:16]


def experiment_of(**overrides: object) -> ScalingExperiment:
    spec: dict[str, object] = {
        "task": {"language": {"corpus": {"python": {}}, "contextLength": 64}},
        "sweep": {
            "model": {"parameters": list(WIDTHS.values())},
            "data": {"tokens": list(TOKENS)},
            "compression": [{"name": "dense"}, *({"name": n, "stages": s} for n, s in STAGES.items())],
            "seeds": 2,
        },
        "laws": [{"name": "chinchilla", "form": "Chinchilla"}, {"name": "pillars", "form": "Joint"}],
        "ask": {"trainingFlops": [1e13], "servingMemory": ["64Ki"]},
    }
    return ScalingExperiment.model_validate({"metadata": {"name": "bytes-lm"}, "spec": spec | overrides})


def parameters_of(width: int) -> int:
    return WIDTHS.get(width, width * width * 28)


def spec_of(
    width: int, D: int, seed: int, *, kind: TrialKind, pipeline: str, extra: float, control: str | None
) -> TrialSpec:
    N = parameters_of(width)
    per_token = 6.0 * N + 12 * 2 * width * 64
    return TrialSpec(
        id=trial_id(width, D, seed, kind, pipeline),
        kind=kind,
        task="language",
        trajectory=trial_id(width, seed),
        control=control,
        model=ModelShape(
            family="decoder", layers=2, width=width, heads=max(1, width // 16), context=64, vocabulary=256
        ),
        parameters=ParameterCounts(matmul=N, blocks=24 * width * width, total=N + 256 * width),
        tokens=D,
        start_step=0,
        end_step=D // 512,
        flops=per_token * D * (0.3 + extra),
        cumulative_flops=per_token * D * (1 + extra),
        treatment={"name": "clean"},
        pipeline=Pipeline.model_validate({"name": pipeline, "stages": STAGES.get(pipeline, [])}),
        compute={},
        seed=seed,
    )


def record_of(
    width: int,
    D: int,
    seed: int,
    *,
    kind: TrialKind,
    loss: float | None,
    pipeline: str = "dense",
    state: TrialState = TrialState.SUCCEEDED,
    stored: float = 32.0,
    extra: float = 0.0,
    control: str | None = None,
) -> TrialRecord:
    N = parameters_of(width)
    metrics = TrialMetrics(
        loss=loss,
        loss_standard_error=0.014,
        documents=90,
        effective_bits=stored,
        nonzero_parameters=N,
        bits_per_byte=None if loss is None else loss / np.log(2),
        stored_bytes=int(N * stored / 8),
    )
    return TrialRecord(
        spec=spec_of(width, D, seed, kind=kind, pipeline=pipeline, extra=extra, control=control),
        status=TrialStatus(
            state=state,
            attempts=1,
            metrics=metrics if loss is not None else TrialMetrics(),
            timings=Timings(seconds=2.0 * N / 33e3, training_seconds=1.8, tokens_per_second=2e5),
            environment=Environment(python="3.11.9", torch="2.15.0", device="cpu", threads=1),
        ),
    )


def true_loss(N: float, D: float) -> float:
    return float(TRUE["E"] + TRUE["A"] * N ** -TRUE["alpha"] + TRUE["B"] * D ** -TRUE["beta"])


def sweep(
    *,
    widths: Iterable[int] = WIDTHS,
    tokens: Sequence[int] = TOKENS,
    seeds: int = 2,
    pipelines: Iterable[str] = PIPELINES,
    noise: float = 0.006,
) -> list[TrialRecord]:
    rng = np.random.default_rng(7)
    records = []
    for width in widths:
        for seed in range(seeds):
            records.append(record_of(width, max(tokens), seed, kind=TrialKind.TRUNK, loss=None))
            for D in tokens:
                loss = true_loss(parameters_of(width), D) * float(np.exp(noise * rng.standard_normal()))
                records.append(record_of(width, D, seed, kind=TrialKind.DENSE, loss=loss))
                for name in pipelines:
                    records += compressed(width, D, seed, name=name, loss=loss, scatter=rng.standard_normal())
    return records


def compressed(width: int, D: int, seed: int, *, name: str, loss: float, scatter: float) -> Iterator[TrialRecord]:
    """Yield a pipeline's record, after its control where it trains on."""
    bits, base, growth = PIPELINES[name]
    penalty = base * (D / 1e6) ** growth * (parameters_of(width) / 3e4) ** -0.3 * float(np.exp(0.1 * scatter))
    extra = 0.1 if "tuned" in name else 0.0
    kind = TrialKind.CONTROL if extra else TrialKind.DENSE
    if extra:
        yield record_of(width, D, seed, kind=kind, loss=loss - 0.004, extra=extra)
    yield record_of(
        width,
        D,
        seed,
        kind=TrialKind.PIPELINE,
        loss=loss + penalty,
        pipeline=name,
        stored=bits,
        extra=extra,
        control=trial_id(width, D, seed, kind, "dense"),
    )


@pytest.fixture(scope="session")
def experiment() -> ScalingExperiment:
    return experiment_of()


@pytest.fixture(scope="session")
def records() -> list[TrialRecord]:
    return sweep()


@pytest.fixture(scope="session")
def analysis(experiment: ScalingExperiment, records: list[TrialRecord]) -> Analysis:
    return analyse(experiment.spec, records)


@pytest.fixture(scope="session")
def build() -> SimpleNamespace:
    """The builders, for tests that need another sweep."""
    return SimpleNamespace(experiment=experiment_of, record=record_of, sweep=sweep, trial_id=trial_id)
