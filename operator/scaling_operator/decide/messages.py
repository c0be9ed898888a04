"""What the driver is told."""

import hashlib
import json
from dataclasses import replace
from typing import Any, Final

from scaling_api.driver_protocol import DriverPlan, DriverState, Intent
from scaling_operator.decide.draft import Draft

_HASHES: Final[dict[str, str]] = {}
"""Hash of a message by the digest of what it is made of: hashing 10,000 trials takes a third of a second."""
_MOST_HASHES: Final = 4096


def instruct(draft: Draft) -> Draft:
    """Send the driver what it is to do, unless it does that already."""
    if draft.intent is None or draft.answer is None or follows(draft, draft.answer.state, draft.intent):
        return draft
    return replace(draft, decision=replace(draft.decision, message=driver_plan(draft, draft.intent)))


def follows(draft: Draft, state: DriverState, intent: Intent) -> bool:
    """Return whether the driver follows the plan as it is now, with this intent."""
    return state.plan_hash is not None and state.plan_hash == _hash(draft, intent)


def driver_plan(draft: Draft, intent: Intent) -> DriverPlan:
    """Return the message."""
    plan = draft.plan
    return DriverPlan(**_parts(draft, intent), trials=plan.trials if plan else (), spent=draft.status.spent)


def _parts(draft: Draft, intent: Intent) -> dict[str, Any]:
    """Return all but the trials, which follow from the plan, and what was spent, which is not hashed."""
    observed, spec = draft.observed, draft.spec
    return {
        "experiment": observed.identity.uid,
        "revision": observed.identity.generation,
        "intent": intent,
        "task": spec.task,
        "training": spec.training,
        "corpus_fingerprint": draft.status.corpus_fingerprint,
        "execution": draft.execution,
        "budget": spec.budget,
        "cpu_fallback": observed.settings.cpu_fallback,
    }


def _hash(draft: Draft, intent: Intent) -> str:
    key = _digest(draft, intent)
    if key not in _HASHES:
        if len(_HASHES) >= _MOST_HASHES:
            _HASHES.clear()
        _HASHES[key] = driver_plan(draft, intent).hash
    return _HASHES[key]


def _digest(draft: Draft, intent: Intent) -> str:
    parts = DriverPlan(**_parts(draft, intent)).model_dump(mode="json")
    text = json.dumps([parts, draft.plan_answer.digest if draft.plan_answer else None], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()
