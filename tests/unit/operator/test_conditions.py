from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from scaling_api.v1alpha1.status import Condition
from scaling_operator.conditions import set_condition

START = datetime(2026, 1, 1, tzinfo=UTC)


def condition(kind: str, status: str, message: str = "") -> Condition:
    return Condition.model_validate(
        {"type": kind, "status": status, "reason": "Tested", "message": message, "lastTransitionTime": START}
    )


def test_a_new_condition_begins_now() -> None:
    now = START + timedelta(hours=1)
    (only,) = set_condition((), condition("Fitted", "True"), now=now)
    assert only.last_transition_time == now


def test_the_transition_time_moves_with_the_status_alone() -> None:
    hour = timedelta(hours=1)
    before = set_condition((), condition("Fitted", "False", "3 points"), now=START)
    reworded = set_condition(before, condition("Fitted", "False", "4 points"), now=START + hour)
    flipped = set_condition(reworded, condition("Fitted", "True"), now=START + 2 * hour)
    assert (reworded[0].message, reworded[0].last_transition_time) == ("4 points", START)
    assert flipped[0].last_transition_time == START + 2 * hour


@given(st.lists(st.tuples(st.sampled_from("ABC"), st.sampled_from(["True", "False", "Unknown"])), max_size=12))
def test_each_type_once_and_in_place(changes: list[tuple[str, str]]) -> None:
    conditions: tuple[Condition, ...] = ()
    for kind, status in changes:
        kinds = [c.type for c in conditions]
        conditions = set_condition(conditions, condition(kind, status), now=START)
        assert [c.type for c in conditions][: len(kinds)] == kinds
        assert set_condition(conditions, condition(kind, status), now=START + timedelta(1)) == conditions
    assert len({c.type for c in conditions}) == len(conditions)
