"""How many training FLOPs a token costs at each size: what ties D to N under a compute budget."""

from dataclasses import dataclass

import numpy as np

from scaling_laws.points import FloatArray, Points, flops_column


@dataclass(frozen=True)
class FlopsPerToken:
    """C/D = 6 N + excess N^exponent. Without excess it is the usual C = 6 N D.

    The excess is attention (and the head, where N counts blocks only): it grows more slowly than N, so that it
    matters for the small models of a sweep and fades for the large ones that are asked about.
    """

    excess: float = 0.0
    exponent: float = 0.0

    def __call__(self, N: FloatArray) -> FloatArray:
        """Return training FLOPs a token at sizes N."""
        return 6.0 * N + self.excess * N**self.exponent

    def elasticity(self, N: FloatArray) -> FloatArray:
        """Return d log(C/D) / d log N."""
        rest = self.excess * N**self.exponent
        return (6.0 * N + self.exponent * rest) / (6.0 * N + rest)


SIX_ND = FlopsPerToken()


def flops_per_token(points: Points) -> FlopsPerToken:
    """Return the rule behind the points' feature C; C = 6 N D where there is none or it says nothing else.

    Two sizes or more whose C exceeds 6 N D give a power law of the excess (least squares on logarithms, exponent
    held in [0, 1)); else the excess is proportional to N at the points' mean ratio.
    """
    if not len(points) or "C" not in points.features:
        return SIX_ND
    a_token = flops_column(points) / points.D
    excess = a_token - 6.0 * points.N
    if not (a_token > 0).all() or (np.abs(excess) <= 1e-9 * a_token).all():
        return SIX_ND
    if (excess > 0).all() and np.ptp(np.log(points.N)) > 1e-9:
        x, y = np.log(points.N), np.log(excess)
        slope = float(np.clip(np.polyfit(x - x.mean(), y, 1)[0], 0.0, 0.95))
        return FlopsPerToken(float(np.exp(y.mean() - slope * x.mean())), slope)
    return FlopsPerToken(float(np.exp(np.mean(np.log(a_token / points.N)))) - 6.0, 1.0)
