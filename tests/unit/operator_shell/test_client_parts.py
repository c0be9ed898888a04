"""Parts of the API client that need no server: patches, the token bucket, errors."""

import asyncio
import time
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from scaling_operator.cluster.bucket import TokenBucket
from scaling_operator.cluster.client import merge_patch
from scaling_operator.cluster.errors import Forbidden, Missing, Refused, Taken, Unavailable, refusal

names = st.text("abc", min_size=1, max_size=2)
scalars = st.integers() | st.text(max_size=3) | st.booleans() | st.lists(st.integers(), max_size=2)
documents = st.recursive(
    st.dictionaries(names, scalars, max_size=4), lambda inner: st.dictionaries(names, scalars | inner, max_size=4)
)


def patched(old: dict[str, Any], patch: dict[str, Any]) -> dict[str, Any]:
    """RFC 7386, section 2."""
    result = dict(old)
    for name, value in patch.items():
        if value is None:
            result.pop(name, None)
        elif isinstance(value, dict):
            before = result.get(name)
            result[name] = patched(before if isinstance(before, dict) else {}, value)
        else:
            result[name] = value
    return result


@given(documents, documents)
def test_a_merge_patch_makes_the_new_of_the_old(old: dict[str, Any], new: dict[str, Any]) -> None:
    assert patched(old, merge_patch(old, new)) == new


@given(documents)
def test_the_merge_patch_of_what_is_the_same_is_empty(document: dict[str, Any]) -> None:
    assert merge_patch(document, document) == {}


def test_the_bucket_lets_a_burst_through_and_then_its_rate() -> None:
    async def scenario() -> float:
        bucket = TokenBucket(200, burst=10)
        began = time.monotonic()
        await asyncio.gather(*(bucket.take() for _ in range(50)))
        return time.monotonic() - began

    assert 0.18 <= asyncio.run(scenario()) <= 0.6


def test_a_status_code_says_whether_to_wait_or_to_act() -> None:
    assert isinstance(refusal(429, message="slow down", retry_after_s=3), Unavailable)
    assert isinstance(refusal(503, message="away"), Unavailable)
    assert isinstance(refusal(404, message="no"), Missing)
    assert isinstance(refusal(409, message="no"), Taken)
    assert isinstance(refusal(403, message="no"), Forbidden)
    assert type(refusal(500, message="odd")) is Refused
