"""Conditions: what is true of an experiment, and since when."""

from collections.abc import Sequence
from datetime import datetime

from scaling_api.v1alpha1.status import Condition


def set_condition(conditions: Sequence[Condition], new: Condition, *, now: datetime) -> tuple[Condition, ...]:
    """Return the conditions with `new` merged in; the same ones, in the same order, when nothing changed.

    The transition time moves only when the status flips, so "how long has it been failing?" stays answerable
    however often the message is reworded.
    """
    old = next((c for c in conditions if c.type == new.type), None)
    since = old.last_transition_time if old and old.status == new.status else now
    merged = new.model_copy(update={"last_transition_time": since})
    if old is None:
        return (*conditions, merged)
    return tuple(merged if c.type == new.type else c for c in conditions)


def holds(conditions: Sequence[Condition], kind: str, *, generation: int | None = None) -> bool:
    """Return whether a condition is True; with a generation, whether it was found so of that one."""
    found = next((c for c in conditions if c.type == kind and c.status == "True"), None)
    return found is not None and (generation is None or found.observed_generation == generation)


def false_since(conditions: Sequence[Condition], kind: str, *, reason: str) -> datetime | None:
    """Return since when a condition is False, where it is so for this reason now; else None."""
    found = (c for c in conditions if c.type == kind and c.status == "False" and c.reason == reason)
    return next((c.last_transition_time for c in found), None)
