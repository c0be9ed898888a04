"""Whether a design tells the variables of a law apart: runs that all have D = 20 N say what both do, not what each."""

from collections.abc import Iterator, Mapping

import numpy as np

from scaling_laws.law import Finding, FindingCode
from scaling_laws.points import FloatArray

LARGEST_INFLATION = 30.0
"""Of the variance of a log variable by the others. Marquardt (1970) calls 10 collinear in a linear law; sweeps of four
decades of N at 10, 20 and 40 tokens per parameter reach 27 and tell the terms apart."""
EXACT = 1e-9
"""Share of a variable's variance without the others' below which they determine it."""


def collinear_variables(columns: Mapping[str, FloatArray], weights: FloatArray) -> Iterator[Finding]:
    """Yield at most one finding: a variable that rises with another one throughout.

    Variables of which one falls as the other rises, such as N and D at one compute, are told apart by their terms.

    Args:
        columns: positive values of each variable, (n,).
        weights: of the points, (n,).
    """
    logs = {name: np.log(column) for name, column in columns.items()}
    varying = {name: z - np.average(z, weights=weights) for name, z in logs.items() if np.ptp(z) > 0}
    if len(varying) < 2:
        return
    names = tuple(varying)
    scaled = np.array([z * np.sqrt(weights) for z in varying.values()])
    scaled /= np.linalg.norm(scaled, axis=1, keepdims=True)
    alone = [_alone(scaled, row) for row in range(len(names))]
    worst = int(np.argmin(alone))
    likeness = scaled @ scaled[worst]
    likeness[worst] = -np.inf
    other = int(np.argmax(likeness))
    if alone[worst] * LARGEST_INFLATION < 1 and likeness[other] > 0:
        first, second = sorted((names[worst], names[other]), key=names.index)
        ratio = columns[second] / columns[first]
        yield Finding(FindingCode.COLLINEAR, _sentence(first, second, ratio, float(likeness[other]), alone[worst]))


def _alone(scaled: FloatArray, row: int) -> float:
    """Return the share of a variable's variance that the others do not explain: one over its inflation."""
    others = np.delete(scaled, row, axis=0).T
    explained = others @ np.linalg.lstsq(others, scaled[row], rcond=None)[0]
    return float(np.sum((scaled[row] - explained) ** 2))


def _sentence(first: str, second: str, ratio: FloatArray, likeness: float, alone: float) -> str:
    inflation = "without end" if alone < EXACT else f"{1 / alone:.3g} times"
    low, high = float(ratio.min()), float(ratio.max())
    spread = f"is {low:.3g} in every run" if high < low * (1 + 1e-3) else f"goes from {low:.3g} to {high:.3g} only"
    what = "tokens per parameter" if (first, second) == ("N", "D") else f"{second}/{first}"
    return (
        f"log {first} and log {second} move together (correlation {likeness:.4g}, variance inflated {inflation}; "
        f"{second}/{first} {spread}): these points do not tell what {first} and what {second} do to the loss, whatever "
        f"the fit says of each. Run some of the same sizes at other {what}, such as a quarter and four times as many; "
        "until then the law only predicts models of that ratio."
    )
