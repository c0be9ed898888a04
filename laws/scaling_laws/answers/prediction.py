"""What a law expects of a model, and where one run of it would end.

The interval of the mean comes from the law's draws. A run scatters around the mean by its trunk and its branch; that
scatter is taken from the law's own residuals, and the two add as squares, as in back-tests.
"""

from dataclasses import dataclass

import numpy as np

from scaling_laws.answers.attribution import Model
from scaling_laws.answers.corners import expected
from scaling_laws.answers.values import finite, percentiles
from scaling_laws.fit.quantiles import t_quantile
from scaling_laws.law import Law


@dataclass(frozen=True)
class Prediction:
    """The response at one model."""

    model: Model
    value: float
    lower: float | None
    """Confidence limits of the mean."""
    upper: float | None
    run_lower: float | None
    """Prediction limits of one run."""
    run_upper: float | None


def predicted(law: Law, model: Model, *, level: float = 0.95) -> Prediction:
    """Return what the law expects of a model, with the limits of its mean and of one run.

    Raises:
        ValueError: the law depends on something that the model does not name.
    """
    value, draws = expected(law)(model)
    lower, upper = (None, None) if draws is None else percentiles(draws, level=level)
    low, high = _run(law, value, lower, upper, level)
    return Prediction(model, value, finite(lower), finite(upper), finite(low), finite(high))


def _run(
    law: Law, value: float, lower: float | None, upper: float | None, level: float
) -> tuple[float | None, float | None]:
    """Return the limits of one run: the mean's reach on each side and the scatter's, in logs where residuals are."""
    spare = law.points - len(law.coefficients)
    if spare < 1 or lower is None or upper is None:
        return None, None
    independent = law.points if law.clusters is None else law.clusters
    scatter = float(np.sqrt(np.sum(law.residuals**2) / spare))
    noise = t_quantile(max(independent - 1, 1), 0.5 + level / 2) * scatter
    if not law.has_log_residuals:
        return value - float(np.hypot(value - lower, noise)), value + float(np.hypot(upper - value, noise))
    with np.errstate(divide="ignore"):
        below, above = np.log(value / max(lower, 1e-300)), np.log(upper / value)
    return value * float(np.exp(-np.hypot(below, noise))), value * float(np.exp(np.hypot(above, noise)))
