"""What a user may have meant by a field that does not exist."""

from collections.abc import Iterator, Sequence
from difflib import get_close_matches
from typing import get_args

from pydantic import BaseModel

from scaling_api.v1alpha1 import ScalingExperiment


def advice_for(unknown: str, parents: Sequence[int | str]) -> str:
    """Return what to write instead of the field `unknown` under `parents`: a near name, a place, or all names."""
    model = _model_at(parents)
    names = sorted(_aliases(model))
    by_folded = {_folded(name): name for name in names}
    if near := get_close_matches(_folded(unknown), by_folded, n=1, cutoff=0.6):
        return f"did you mean {by_folded[near[0]]}?"
    if places := [place for place in _places(ScalingExperiment, "") if place.endswith(f".{unknown}")]:
        return f"did you mean {min(places, key=len)}?"
    return f"the fields here are {', '.join(names)}" if names else "there are no fields here"


def _folded(name: str) -> str:
    return name.replace("_", "").replace("-", "").lower()


def _aliases(model: type[BaseModel]) -> dict[str, type[BaseModel] | None]:
    return {field.alias or name: _model_in(field.annotation) for name, field in model.model_fields.items()}


def _model_at(path: Sequence[int | str]) -> type[BaseModel]:
    model: type[BaseModel] = ScalingExperiment
    for part in path:
        if isinstance(part, str):
            model = _aliases(model).get(part) or model
    return model


def _model_in(annotation: object) -> type[BaseModel] | None:
    """Return the model inside an annotation such as `tuple[Annotated[Pipeline, ...], ...] | None`."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for part in get_args(annotation) if (found := _model_in(part))), None)


def _places(model: type[BaseModel], prefix: str) -> Iterator[str]:
    for alias, inner in _aliases(model).items():
        if alias == "status":  # written by the operator, never by a user
            continue
        yield f"{prefix}{alias}"
        if inner is not None:
            yield from _places(inner, f"{prefix}{alias}.")
