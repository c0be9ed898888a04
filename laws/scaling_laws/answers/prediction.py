"""What a law expects of a model, where one run of it would end, and which model a loss would take.

The interval of the mean comes from the law's draws. A run scatters around the mean by its trunk and its branch; that
scatter is taken from the law's own residuals, and the two add as squares, as in back-tests.
"""

from dataclasses import dataclass, replace

import numpy as np

from scaling_laws.answers.attribution import Model
from scaling_laws.answers.backtest import Reach
from scaling_laws.answers.corners import expected, response
from scaling_laws.answers.predict import needed_parameters, needed_tokens
from scaling_laws.answers.values import caveats, finite, percentiles
from scaling_laws.fit.quantiles import t_quantile
from scaling_laws.law import Finding, Law


@dataclass(frozen=True)
class Prediction:
    """The response at one model."""

    model: Model
    quantity: str
    """What is predicted: the response, such as loss or penalty, or the N or D that a loss takes."""
    value: float
    lower: float | None
    """Confidence limits of the mean."""
    upper: float | None
    run_lower: float | None
    """Prediction limits of one run."""
    run_upper: float | None
    findings: tuple[Finding, ...] = ()
    """That the law is not certified, and where the model lies beyond what back-tests have bridged."""


def predicted(law: Law, model: Model, *, level: float = 0.95, reach: Reach | None = None) -> Prediction:
    """Return what the law expects of a model, with the limits of its mean and of one run.

    A model that names a loss, and N or D, asks for the other of the two.

    Args:
        law: any that predicts a response.
        model: what it depends on, by name.
        level: of the limits.
        reach: how far back-tests went; without it, whether the model is an extrapolation is not judged.

    Raises:
        ValueError: the law depends on something that the model does not name, or never reaches the loss.
    """
    found = _needed(law, model, level) if "loss" in model else _expected(law, model, level)
    return replace(found, findings=(*caveats(law), *_beyond(found, reach)))


def _beyond(found: Prediction, reach: Reach | None) -> tuple[Finding, ...]:
    if reach is None:
        return ()
    model = {**found.model, found.quantity: found.value}
    numbers = {name: float(x) for name, x in model.items() if not isinstance(x, str)}
    N, D = numbers.get("N"), numbers.get("D")
    C = 6.0 * N * D if N is not None and D is not None else numbers.get("C")
    others = {name: x for name, x in numbers.items() if name not in {"N", "D", "C", "loss", found.quantity}}
    return reach.findings(C, N, D, **others)


def _needed(law: Law, model: Model, level: float) -> Prediction:
    given = [name for name in ("N", "D") if name in model]
    if set(model) != {"loss", *given} or len(given) != 1:
        raise ValueError("What a loss takes is asked with the loss and one of N and D, such as N=7e10,loss=2.0.")
    loss, x = float(model["loss"]), float(model[given[0]])
    is_size = given[0] == "N"
    found = needed_tokens(law, x, loss, level=level) if is_size else needed_parameters(law, x, loss, level=level)
    return Prediction(model, "D" if is_size else "N", found.value, found.lower, found.upper, None, None)


def _expected(law: Law, model: Model, level: float) -> Prediction:
    value, draws = expected(law)(model)
    lower, upper = (None, None) if draws is None else percentiles(draws, level=level)
    low, high = _run(law, value, lower, upper, level)
    return Prediction(model, response(law), value, finite(lower), finite(upper), finite(low), finite(high))


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
