"""The three factors of a linear law: how much of the loss each explains, alone and beside the others.

performance = a*g(compute) + b*h(data) + c*i(compression) + error, where g, h and i are regressions on each factor's own
columns. Fitted jointly they are the law's own terms (Frisch and Waugh 1933), so that a = b = c = 1; what differs is how
far each factor moves the response, and how much it explains. The share of R2 is averaged over all orders in which
factors may enter (Lindeman, Merenda and Gold 1980), exact over the subsets.
"""

from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations
from math import factorial

import numpy as np

from scaling_laws.fit.features import CONSTANT, LOG, Features
from scaling_laws.fit.least_squares import LeastSquares
from scaling_laws.fit.quantiles import f_tail
from scaling_laws.law import Factor
from scaling_laws.points import FloatArray

OF_FACTOR: Mapping[str, frozenset[str]] = {
    "compute": frozenset(
        ("N", "C", "workers", "strategy", "layers", "width", "context", "experts", "steps", "throughput", "pool")
    ),
    "data": frozenset(("D", "U", "Q", "treatment", "token_noise", "tokens_per_parameter", "epochs", "dataset")),
    "compression": frozenset(
        (
            "pipeline", "sparsity", "S", "bits", "P", "effective_bits", "stored_bytes", "nonzero_parameters",
            "extra_fraction", "inference_flops", "teacher_loss", "precision", "quantization",
        )
    ),
}  # fmt: skip
"""Columns of each factor."""
OTHER = "other"


def factors_of(
    features: Features, squares: LeastSquares, given: Mapping[str, Sequence[str]] | None = None
) -> tuple[Factor, ...]:
    """Return the factors of a fitted linear law; none where all its columns are of one.

    Args:
        features: its columns.
        squares: its fit.
        given: columns of factors by the user's choice; the others go by their names.

    Raises:
        ValueError: a column is named that the law has not.
    """
    columns = _columns(features, given or {})
    if len(columns) < 2:
        return ()
    response = _response(features, squares)
    r2 = {subset: _r2(features, squares, response, subset, columns) for subset in _subsets(tuple(columns))}
    return tuple(_factor(name, columns, features, squares, r2) for name in columns)


def _columns(features: Features, given: Mapping[str, Sequence[str]]) -> dict[str, list[int]]:
    """Return the rows of the design's columns by factor, in the order of compute, data, compression, others."""
    bases = [_base(name) for name in features.names]
    if unknown := [name for names in given.values() for name in names if _base(name) not in bases]:
        raise ValueError(f"The law has no column {unknown[0]}; its columns are {', '.join(features.names[1:])}.")
    chosen = {_base(name): factor for factor, names in given.items() for name in names}
    usual = {name: factor for factor, names in OF_FACTOR.items() for name in names}
    found: dict[str, list[int]] = {name: [] for name in (*OF_FACTOR, *given, OTHER)}
    for j, base in enumerate(bases):
        if features.names[j] != CONSTANT:
            found[chosen.get(base) or usual.get(base, OTHER)].append(j)
    return {name: rows for name, rows in found.items() if rows}


def _base(name: str) -> str:
    """Return the column behind a feature or a dummy: N for log(N), pipeline for pipeline=int4."""
    logged = LOG.fullmatch(name)
    return (logged.group(1) if logged else name).split("=")[0]


def _subsets(names: tuple[str, ...]) -> Iterable[frozenset[str]]:
    return (frozenset(some) for size in range(len(names) + 1) for some in combinations(names, size))


def _response(features: Features, squares: LeastSquares) -> FloatArray:
    return np.asarray(features.matrix @ squares.coefficients + squares.residuals, dtype=np.float64)


def _r2(
    features: Features,
    squares: LeastSquares,
    response: FloatArray,
    subset: frozenset[str],
    columns: Mapping[str, list[int]],
) -> float:
    """Return the share of the variance that the columns of some factors explain."""
    rows = [0, *(j for name in subset for j in columns[name])]
    design = features.matrix[:, rows] * squares.root[:, None]
    design /= np.maximum(np.linalg.norm(design, axis=0), np.finfo(np.float64).tiny)
    target = response * squares.root
    missed = target - design @ np.linalg.lstsq(design, target)[0]
    centred = (response - np.average(response, weights=squares.root**2)) * squares.root
    total = float(centred @ centred)
    return 1 - float(missed @ missed) / total if total > 0 else 0.0


def _factor(
    name: str,
    columns: Mapping[str, list[int]],
    features: Features,
    squares: LeastSquares,
    r2: Mapping[frozenset[str], float],
) -> Factor:
    everything = frozenset(columns)
    rest = everything - {name}
    freedom, added = squares.freedom, len(columns[name])
    unexplained = max(1 - r2[everything], 0.0)
    gained = max(r2[everything] - r2[rest], 0.0)
    f = gained / added / (unexplained / freedom) if unexplained > 0 else float("inf")
    score = features.matrix[:, columns[name]] @ squares.coefficients[columns[name]]
    weights = squares.root**2
    spread = float(np.sqrt(np.average((score - np.average(score, weights=weights)) ** 2, weights=weights)))
    return Factor(
        name=name,
        features=tuple(features.names[j] for j in columns[name]),
        spread=spread,
        r2_alone=r2[frozenset((name,))],
        r2_added=gained,
        share=_shapley(name, everything, r2),
        f=f,
        p=f_tail(added, freedom, f) if np.isfinite(f) else 0.0,
    )


def _shapley(name: str, everything: frozenset[str], worth: Mapping[frozenset[str], float]) -> float:
    """Return what a factor adds to R2, averaged over all orders."""
    count = len(everything)
    total = 0.0
    for before in _subsets(tuple(everything - {name})):
        weight = factorial(len(before)) * factorial(count - len(before) - 1) / factorial(count)
        total += weight * (worth[before | {name}] - worth[before])
    return total
