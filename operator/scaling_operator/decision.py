"""What one pass will do: values, until the shell carries them out in the order of `Decision`'s fields."""

from dataclasses import dataclass
from typing import Final, Literal

from scaling_api.driver_protocol import DriverPlan
from scaling_api.v1alpha1.status import ExperimentStatus
from scaling_api.v1alpha1.trial import Failure, TrialRecord
from scaling_operator.desired.manifest import Manifest
from scaling_operator.fitting import AnalysisRequest
from scaling_operator.planning import PlanRequest

APPLIED_DIGEST: Final = "scalinglaws.dev/applied-digest"
"""Annotation of applied objects: SHA-256 of the manifest. An object whose digest is right is left alone."""


@dataclass(frozen=True)
class Event:
    """What happened, once, for `kubectl describe`."""

    type: Literal["Normal", "Warning"]
    reason: str
    """One word, of `reasons`."""
    message: str
    """Full sentences."""


@dataclass(frozen=True)
class ObjectRef:
    """An object to delete: the one with this uid, and no other of its name."""

    api_version: str
    kind: str
    name: str
    uid: str


@dataclass(frozen=True)
class Cursor:
    """How far the driver's rows have been dealt with, once this decision has been carried out."""

    epoch: str
    number: int


@dataclass(frozen=True)
class Decision:
    """What one pass will do, in this order. What fails ends the pass; the next one decides anew.

    Trial records come before the status that counts them, the status with a RayJob's number before the RayJob (in an
    earlier pass), and deletions last.
    """

    trials: tuple[TrialRecord, ...] = ()
    """To write, each by one server-side apply: new ones and those whose state changed."""
    cursor: Cursor | None = None
    """Rows up to here need not be read again. Kept in memory: a restarted operator reads an epoch from 0."""
    applies: tuple[Manifest, ...] = ()
    """To apply, server-side: missing or not as they should be."""
    creates: tuple[Manifest, ...] = ()
    """To create once; one that exists already is left as it is."""
    message: DriverPlan | None = None
    """To PUT to the driver that was observed."""
    status: ExperimentStatus | None = None
    """To write; None where it stays as it is."""
    events: tuple[Event, ...] = ()
    failures: tuple[Failure, ...] = ()
    """What went wrong and was found out in this pass, to be counted by class and reason."""
    deletes: tuple[ObjectRef, ...] = ()
    """To delete, dependents in the background."""
    is_winding_down: bool = False
    """The RayJob is being paused, collected and stopped. Kept in memory: it must not take for ever."""
    wants_plan: PlanRequest | None = None
    """A plan to make off the event loop; the answer stands in a later `Observed.plan`."""
    wants_analysis: AnalysisRequest | None = None
    """An analysis to make off the event loop; the answer stands in a later `Observed.analysis`."""
    look_again_after_s: float | None = None
    """Seconds until something is due without any event; None where only events matter."""
