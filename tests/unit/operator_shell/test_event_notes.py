"""Events as the API server takes them: notes of at most 1024 bytes."""

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from scaling_operator.cluster.events import event_manifest
from scaling_operator.decision import Event
from scaling_operator.observed import Identity

IDENTITY = Identity("lab", "bytes", "0d7f5c1e", 1)


def note_of(message: str) -> str:
    event = Event("Warning", "Unsupported", message)
    note: str = event_manifest(IDENTITY, event, instance="operator-0", at=datetime.now(UTC))["note"]
    return note


@given(st.text(st.sampled_from("aé猫🐈"), max_size=1200))
def test_a_note_has_at_most_1024_bytes_and_no_broken_character(message: str) -> None:
    note = note_of(message)
    assert len(note.encode()) <= 1024
    if len(message.encode()) <= 1024:
        assert note == message
    else:
        assert note.endswith("...")
        assert message.startswith(note.removesuffix("..."))
        assert len(note.encode()) > 1020
