"""Events as the API server takes them: notes of at most 1024 bytes."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest
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


@pytest.mark.parametrize(
    ("reason", "is_same"), [("DriverAnswers", True), ("ClusterRequested", True), ("Planned", False)]
)
def test_what_names_its_ray_job_is_told_once_whatever_the_generation(reason: str, is_same: bool) -> None:
    event = Event("Normal", reason, "RayJob bytes-a1 does something.")
    names = {
        event_manifest(replace(IDENTITY, generation=number), event, instance="operator-0", at=datetime.now(UTC))[
            "metadata"
        ]["name"]
        for number in (1, 2)
    }
    assert (len(names) == 1) is is_same
