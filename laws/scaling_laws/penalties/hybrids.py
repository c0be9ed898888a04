"""Whether a hybrid costs what its parts cost: the multipliers of pruning and quantization against that of both.

Each compressed model has an effective-parameter multiplier e, by the dense law: the share of its compressible
parameters that a dense model of the same loss would have. If pruning and quantization do not meet, log e of the hybrid
is the sum of its parts' at the same checkpoint.
"""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from scaling_api.v1alpha1.compression import Pipeline
from scaling_laws.answers.surface import Surface
from scaling_laws.fit.quantiles import t_quantile
from scaling_laws.law import Finding, FindingCode
from scaling_laws.penalties.fit import clustered_covariance
from scaling_laws.points import FloatArray
from scaling_laws.records import PipelinePoint

SAME_TOKENS = 0.03
"""Logs of D within which two models come from one checkpoint."""
FEWEST_MATCHES = 3
LEVEL = 0.95


def hybrid_findings(
    pipelines: Sequence[Pipeline], points: Sequence[PipelinePoint], dense: Surface | None
) -> Mapping[str, Finding]:
    """Return, for each hybrid whose parts are in the sweep, whether its multiplier is the product of theirs.

    Args:
        pipelines: of the sweep.
        points: compressed models beside their controls, of one treatment.
        dense: the law of the dense models; without it nothing is said.
    """
    found = {}
    for hybrid in pipelines if dense is not None else ():
        parts = _parts(hybrid, pipelines)
        if parts is not None:
            assert dense is not None
            excess, clusters = _excess(hybrid, parts, points, dense)
            if len(excess) >= FEWEST_MATCHES:
                found[hybrid.name] = _finding(hybrid.name, [part.name for part in parts], excess, clusters)
    return found


def _parts(hybrid: Pipeline, pipelines: Iterable[Pipeline]) -> tuple[Pipeline, Pipeline] | None:
    """Return the pipelines of a hybrid's stages before its quantization, and of its quantization alone."""
    stages = hybrid.stages
    if len(stages) < 2 or stages[-1].quantize is None or not any(stage.prune for stage in stages[:-1]):
        return None
    by_stages = {pipeline.stages: pipeline for pipeline in pipelines}
    before, alone = by_stages.get(stages[:-1]), by_stages.get(stages[-1:])
    return None if before is None or alone is None else (before, alone)


def _excess(
    hybrid: Pipeline, parts: tuple[Pipeline, Pipeline], points: Sequence[PipelinePoint], dense: Surface
) -> tuple[FloatArray, FloatArray]:
    """Return log e of the hybrid minus those of its parts, one a checkpoint, and each one's trajectory."""
    rows = []
    for point in (p for p in points if p.pipeline == hybrid.name):
        base = point.D / (1 + hybrid.extra_fraction)
        matches = [
            next((p for p in points if _is_match(p, point, part, base * (1 + part.extra_fraction))), None)
            for part in parts
        ]
        values = [_log_multiplier(p, dense) for p in (point, *matches) if p is not None]
        if len(values) == 3 and np.isfinite(values).all():
            rows.append((values[0] - values[1] - values[2], point.cluster))
    return np.array([x for x, _ in rows]), np.array([cluster for _, cluster in rows])


def _is_match(point: PipelinePoint, other: PipelinePoint, part: Pipeline, tokens: float) -> bool:
    same = (point.N, point.seed, point.cluster) == (other.N, other.seed, other.cluster)
    return same and point.pipeline == part.name and abs(np.log(point.D / tokens)) < SAME_TOKENS


def _log_multiplier(point: PipelinePoint, dense: Surface) -> float:
    """Return log e of one compressed model; NaN where no dense model is that bad, or that good."""
    size = float(dense.size_term(np.asarray(point.N)))
    with np.errstate(all="ignore"):
        effective = float((dense.A / (size + point.penalty)) ** (1 / dense.alpha))
        compressible = point.N if point.compressible is None else point.compressible
        e = 1 - (point.N - effective) / compressible
        return float(np.log(e)) if np.isfinite(e) and e > 0 else float("nan")


def _finding(name: str, parts: Sequence[str], excess: FloatArray, clusters: FloatArray) -> Finding:
    mean = float(excess.mean())
    covariance = clustered_covariance(np.ones((len(excess), 1)), excess - mean, clusters.astype(np.int64))
    error = None if covariance is None else float(np.sqrt(covariance[0, 0]))
    told = f"e of {name} is {np.exp(mean):.3g} times the product of those of {' and '.join(parts)}"
    told += "" if error is None else f" (standard error {np.exp(mean) * error:.2g})"
    told += f", over {len(excess)} checkpoints"
    t = t_quantile(max(len(np.unique(clusters)) - 1, 1), 0.5 + LEVEL / 2)
    if error is not None and abs(mean) > t * error:
        text = f"The hybrid's multiplier is not the product of its parts': {told}. Measure hybrids; do not infer them."
        return Finding(FindingCode.MULTIPLIER_NOT_CONSTANT, text)
    return Finding(FindingCode.CHOSEN, f"The multipliers multiply in this hybrid, within the errors: {told}.")
