"""What a law expects of one model that is given by the names of its quantities."""

from collections.abc import Mapping, Sequence

import numpy as np

from scaling_laws.answers.attribution import Model, Value
from scaling_laws.answers.surface import has_surface, surface_draws, surface_of
from scaling_laws.expressions import parse_equation
from scaling_laws.fit.features import CONSTANT, derived_column
from scaling_laws.fit.predict import predict, predict_draws
from scaling_laws.forms import FORMS, LinearForm
from scaling_laws.law import Law
from scaling_laws.penalties import PipelineLaw, Sizes, penalty_at, penalty_draws
from scaling_laws.points import FloatArray

INDICATOR = "is_"


def expected(law: Law, *, pipelines: Sequence[PipelineLaw] = (), dense: str = "dense", seed: int = 0) -> Value:
    """Return the function that gives a law's expectation of a model, with its draws.

    Args:
        law: any that predicts a response.
        pipelines: penalties to add, for a model that names a pipeline.
        dense: the pipeline without a penalty.
        seed: of the penalties' normal draws.
    """
    by_name = {pipeline.pipeline: pipeline for pipeline in pipelines}

    def value(model: Model) -> tuple[float, FloatArray | None]:
        own = dict(model)
        name = str(own.pop("pipeline")) if by_name and "pipeline" in own else dense
        estimate, draws = _of_law(law, own)
        if name == dense:
            return estimate, draws
        if name not in by_name:
            raise ValueError(f"There is no penalty law of the pipeline {name}; there are {', '.join(by_name)}.")
        return _with_penalty(law, by_name[name], own, estimate, draws, seed)

    return value


def _with_penalty(
    law: Law, pipeline: PipelineLaw, model: Model, estimate: float, draws: FloatArray | None, seed: int
) -> tuple[float, FloatArray | None]:
    N, D = (np.array([float(model[name])]) for name in ("N", "D"))
    sizes = Sizes(N, D, N)
    estimate += float(penalty_at(pipeline.used, sizes, surface_of(law))[0])
    surfaces = surface_draws(law)
    if draws is None or surfaces is None:
        return estimate, None
    stream = int.from_bytes(pipeline.pipeline.encode()[:8], "big")
    normal = np.random.default_rng([seed, stream]).standard_normal((len(draws), 3))
    return estimate, draws + penalty_draws(pipeline.used, sizes, surfaces, normal=normal)[:, 0]


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
    at = (numbers.get("N", 1.0), numbers.get("D", 1.0))
    estimate = float(predict(law, *at, features=features))
    return estimate, None if law.draws is None else predict_draws(law, *at, features=features)


def _levels(model: Model) -> frozenset[str]:
    """Return the indicators that a model's text sets to one."""
    words = (str(x) for x in model.values() if isinstance(x, str))
    return frozenset(INDICATOR + "".join(c if c.isalnum() or c == "_" else "_" for c in word) for word in words)


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
