"""Objects of an operator that may be older or newer than this command, read as far as they are understood."""

from collections.abc import Sequence
from copy import deepcopy
from typing import Any, TypeVar

from pydantic import ValidationError

from scaling_api.v1alpha1.base import ApiModel

M = TypeVar("M", bound=ApiModel)
_ROUNDS = 4
"""A field may hide another mistake, but hardly ever four times."""


def understood(model: type[M], found: object) -> M | None:
    """Return `found` as a model, without the fields that this version does not know; None where that is not enough."""
    try:
        return model.model_validate(found)
    except ValidationError as error:
        trouble = error
    rest = deepcopy(found)
    for _ in range(_ROUNDS):
        for detail in trouble.errors(include_url=False, include_context=False, include_input=False):
            _remove(rest, detail["loc"])
        try:
            return model.model_validate(rest)
        except ValidationError as error:
            trouble = error
    return None


def _remove(found: Any, location: Sequence[str | int]) -> None:
    """Remove the field at a location, or the nearest item around it that is there."""
    place, last = found, None
    for part in location:
        inside = isinstance(place, dict) and part in place
        inside = inside or (isinstance(place, list) and isinstance(part, int) and part < len(place))
        if not inside:
            break
        last, place = (place, part), place[part]
    if last is None:
        return
    holder, key = last
    if isinstance(holder, dict):
        del holder[key]
    else:
        holder[key] = None
