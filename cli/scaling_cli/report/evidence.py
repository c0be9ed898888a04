"""The rows behind charts and tables: finished trials joined with what the law says of them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from scaling_api.v1alpha1.laws import ParameterConvention
from scaling_api.v1alpha1.trial import TrialKind, TrialRecord
from scaling_cli.report.numbers import count
from scaling_cli.report.surface import DenseLaw
from scaling_laws.points import Points
from scaling_laws.records import canonical, count_parameters, has_result, loss_of, points_from_records

Row = TypeVar("Row")


@dataclass(frozen=True)
class DensePoint:
    """A dense trial with a loss."""

    trial: str
    N: float
    """By the convention of the law that the report draws."""
    D: float
    C: float
    """Training FLOPs of a model trained alone to this point."""
    loss: float
    seed: int
    treatment: str
    size: str
    """N as labels write it."""
    is_fitted: bool
    """Whether the law was fitted on it."""
    predicted: float | None
    """Loss by the law."""

    @property
    def residual(self) -> float | None:
        """Log of observed over predicted loss."""
        return None if self.predicted is None else float(np.log(self.loss / self.predicted))


@dataclass(frozen=True)
class StoredModel:
    """A model as it would be served."""

    trial: str
    pipeline: str
    N: float
    D: float
    seed: int
    stored_bytes: float
    loss: float
    is_pareto: bool
    """No other model is as small and as good."""


def fitted_points(records: Iterable[TrialRecord], *, convention: ParameterConvention, treatment: str) -> Points:
    """Return the dense points that a law of this convention is fitted on."""
    return points_from_records(records, convention=convention, treatment=treatment)


def dense_points(
    records: Iterable[TrialRecord], fitted: Points, *, convention: ParameterConvention, law: DenseLaw | None
) -> list[DensePoint]:
    """Return all dense results, smallest model first, each marked by whether it is among the fitted points."""
    chosen = set(np.asarray(fitted.features.get("trial", ())).tolist())
    found = []
    for record in canonical(records):
        if record.spec.kind is not TrialKind.DENSE or not has_result(record):
            continue
        trial = record.spec
        N, D = float(count_parameters(trial.parameters, convention)), float(trial.tokens)
        found.append(
            DensePoint(
                trial=trial.id,
                N=N,
                D=D,
                C=trial.cumulative_flops,
                loss=loss_of(record),
                seed=trial.seed,
                treatment=trial.treatment.name,
                size=count(N),
                is_fitted=trial.id in chosen,
                predicted=_predicted(law, N, D),
            )
        )
    return sorted(found, key=lambda p: (p.N, p.D, p.treatment, p.seed))


def stored_models(records: Iterable[TrialRecord]) -> list[StoredModel]:
    """Return dense and compressed results with known stored bytes; the Pareto front is over all of them."""
    kinds = (TrialKind.DENSE, TrialKind.PIPELINE)
    rows = [r for r in canonical(records) if r.spec.kind in kinds and has_result(r) and r.status.metrics.stored_bytes]
    sizes = [float(r.status.metrics.stored_bytes or 0) for r in rows]
    pareto = pareto_front(list(zip(sizes, map(loss_of, rows), strict=True)))
    models = [
        StoredModel(
            trial=r.spec.id,
            pipeline=r.spec.pipeline.name,
            N=float(r.spec.parameters.matmul),
            D=float(r.spec.tokens),
            seed=r.spec.seed,
            stored_bytes=sizes[i],
            loss=loss_of(r),
            is_pareto=i in pareto,
        )
        for i, r in enumerate(rows)
    ]
    return sorted(models, key=lambda m: (m.pipeline, m.stored_bytes, m.loss))


def pareto_front(costs: Sequence[tuple[float, float]]) -> set[int]:
    """Return the indices of pairs that no other pair beats in one coordinate without losing in the other."""
    front: set[int] = set()
    best = float("inf")
    for i in sorted(range(len(costs)), key=lambda i: costs[i]):
        if costs[i][1] < best:
            best = costs[i][1]
            front.add(i)
    return front


def size_labels(*columns: Iterable[float]) -> list[str]:
    """Return the labels of model sizes in ascending order, each once."""
    return list(dict.fromkeys(count(N) for N in sorted({N for column in columns for N in column})))


def evenly(rows: Sequence[Row], limit: int) -> list[Row]:
    """Return at most `limit` rows spread evenly over the list, first and last among them."""
    if len(rows) <= limit:
        return list(rows)
    return [rows[i] for i in np.linspace(0, len(rows) - 1, limit).round().astype(int)]


def _predicted(law: DenseLaw | None, N: float, D: float) -> float | None:
    if law is None:
        return None
    loss = float(law.loss(N, D))
    return loss if np.isfinite(loss) and loss > 0 else None
