"""What a law expects of one model that is given by the names of its quantities."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from scaling_laws.answers.attribution import Model, Value
from scaling_laws.answers.surface import has_surface, surface_draws, surface_of
from scaling_laws.expressions import parse_equation
from scaling_laws.fit.compound.columns import identifiers
from scaling_laws.fit.compound.frontier import is_frontier
from scaling_laws.fit.features import CONSTANT, derived_column
from scaling_laws.fit.predict import predict, predict_draws
from scaling_laws.forms import FORMS, LinearForm
from scaling_laws.law import Law
from scaling_laws.penalties import PipelineLaw, Sizes, penalty_at, penalty_draws
from scaling_laws.points import FloatArray

INDICATOR = "is_"
TEXTS = ("treatment", "strategy")
"""Columns of text whose levels have indicators in a formula."""


@dataclass(frozen=True)
class Parts:
    """What joins a dense law in the expectation of a model."""

    pipelines: Sequence[PipelineLaw] = ()
    """Penalties, for models that name a pipeline."""
    dense: str = "dense"
    """The pipeline without a penalty."""
    treatments: Law | None = None
    """A law of form DataQuality that stands in for the dense one, for models that name a treatment."""
    compressible: Callable[[FloatArray], FloatArray] = lambda N: N
    """Parameters that compression acts on, of a model of N."""
    seed: int = 0
    """Of the penalties' normal draws."""


ALONE = Parts()


def dependencies(law: Law, parts: Parts = ALONE) -> frozenset[str]:
    """Return the names of what a law's expectation depends on, such as N, D and pipeline.

    Raises:
        ValueError: the law expects no response of a model.
    """
    if isinstance(FORMS.get(law.form), LinearForm):
        found = {name for c in law.coefficients if c.name != CONSTANT for name in _bases(c.name)}
    elif has_surface(law):
        found = {"N", "D"}
    elif is_frontier(law):
        raise ValueError(f"A {law.form} law gives the best N and D for an amount of compute, not what a model reaches.")
    else:
        found = set(parse_equation(law.formula).names) - {c.name for c in law.coefficients}
    found |= {"N", "D"} if "C" in found else set()
    found |= set(TEXTS) if any(name.startswith(INDICATOR) for name in found) else set()
    found |= {"pipeline"} if parts.pipelines else set()
    return frozenset(found | ({"treatment"} if parts.treatments else set()))


def predicts_loss(law: Law) -> bool:
    """Whether what a law expects of a model is its loss."""
    return response(law) == "loss"


def response(law: Law) -> str:
    """Return the name of what a law predicts, such as loss, penalty or throughput; approaches 1 and 2: N and D."""
    if isinstance(FORMS.get(law.form), LinearForm) or has_surface(law):
        return "loss"
    return "N and D" if is_frontier(law) else parse_equation(law.formula).response


def _bases(name: str) -> set[str]:
    """Return the columns behind a coefficient of a linear law, such as pipeline of pipeline=int4."""
    inner = name.partition("=")[0]
    return {inner[4:-1] if inner.startswith("log(") else inner}


def expected(law: Law, parts: Parts = ALONE) -> Value:
    """Return the function that gives a law's expectation of a model, with its draws.

    The function raises ValueError for a model that lacks what the law depends on, or names something else.

    Args:
        law: any that predicts a response.
        parts: what joins it.
    """
    known = dependencies(law, parts)

    def value(model: Model) -> tuple[float, FloatArray | None]:
        if unknown := [name for name in model if name not in known]:
            raise ValueError(_not_known(law, unknown[0], known))
        own = dict(model)
        name = str(own.pop("pipeline")) if parts.pipelines and "pipeline" in own else parts.dense
        estimate, draws = _of_law(parts.treatments if parts.treatments and "treatment" in own else law, own)
        return (estimate, draws) if name == parts.dense else _with_penalty(law, parts, name, own, estimate, draws)

    return value


def _not_known(law: Law, name: str, known: frozenset[str]) -> str:
    shown = ", ".join(sorted(x for x in known if not x.startswith(INDICATOR)))
    advice = f"; {_FORMS_WITH[name]}" if name in _FORMS_WITH else ""
    return f"A {law.form} law does not depend on {name}, it depends on {shown}{advice}."


_FORMS_WITH: Mapping[str, str] = {
    "pipeline": "Linear does, and Joint in an experiment",
    "treatment": "DataQuality and Linear do, and Joint in an experiment",
}


def _with_penalty(
    law: Law, parts: Parts, name: str, model: Model, estimate: float, draws: FloatArray | None
) -> tuple[float, FloatArray | None]:
    by_name = {pipeline.pipeline: pipeline for pipeline in parts.pipelines}
    if name not in by_name:
        raise ValueError(f"There is no penalty law of the pipeline {name}; there are {', '.join(by_name)}.")
    N, D = (np.array([float(model[axis])]) for axis in ("N", "D"))
    sizes, penalty = Sizes(N, D, parts.compressible(N)), by_name[name].used
    estimate += float(penalty_at(penalty, sizes, surface_of(law))[0])
    surfaces = surface_draws(law)
    if draws is None or surfaces is None:
        return estimate, None
    stream = int.from_bytes(name.encode()[:8], "big")
    normal = np.random.default_rng([parts.seed, stream]).standard_normal((len(surfaces.E), 3))
    costs = penalty_draws(penalty, sizes, surfaces, normal=normal)[:, 0]
    both = min(len(draws), len(costs))
    return estimate, draws[:both] + costs[:both]


def _of_law(law: Law, model: Model) -> tuple[float, FloatArray | None]:
    if isinstance(FORMS.get(law.form), LinearForm):
        return _linear(law, model)
    numbers = {name: float(x) for name, x in model.items() if not isinstance(x, str)}
    if has_surface(law):
        N, D = (np.array([_named(numbers, name, law)]) for name in ("N", "D"))
        draws = surface_draws(law)
        return float(surface_of(law).loss(N, D)[0]), None if draws is None else draws.loss(N, D)[:, 0]
    names = set(parse_equation(law.formula).names)
    features = {name: x for name, x in numbers.items() if name not in {"N", "D"}}
    features |= {name: float(name in _levels(model)) for name in names if name.startswith(INDICATOR)}
    if "C" in names and "C" not in numbers:
        names |= {"N", "D"}
    at = tuple(_named(numbers, name, law) if name in names else 1.0 for name in ("N", "D"))
    estimate = float(predict(law, *at, features=features))
    return estimate, None if law.draws is None else predict_draws(law, *at, features=features)


def _levels(model: Model) -> frozenset[str]:
    """Return the indicators that a model's text sets to one."""
    words = identifiers(str(x) for x in model.values() if isinstance(x, str))
    return frozenset(INDICATOR + word for word in words.values())


def _linear(law: Law, model: Model) -> tuple[float, FloatArray | None]:
    names = [c.name for c in law.coefficients]
    row = np.array([_column(name, model, law) for name in names])
    estimate = float(row @ np.array([c.value for c in law.coefficients]))
    return estimate, None if law.draws is None else np.asarray(law.draws @ row)


def _column(name: str, model: Model, law: Law) -> float:
    """Return the value of a linear law's column for one model."""
    if name == CONSTANT:
        return 1.0
    base, equals, level = name.partition("=")
    if equals:
        return float(str(_named(model, base, law)) == level)
    numbers = {key: np.array([float(x)]) for key, x in model.items() if not isinstance(x, str)}
    inner = name[4:-1] if name.startswith("log(") else name
    needed = {"N", "D"} if inner == "C" and "C" not in numbers else {inner}
    for key in needed:
        _named(model, key, law)
    column = derived_column(name, {"N": np.ones(1), "D": np.ones(1), **numbers})
    assert column is not None
    return float(column[0])


def _named(model: Mapping[str, object], name: str, law: Law) -> float:
    if name not in model:
        raise ValueError(f"A {law.form} law depends on {name}; name it for both models.")
    return model[name]  # type: ignore[return-value]
