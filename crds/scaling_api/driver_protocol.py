"""What the operator and an experiment's driver say to each other, over HTTP, with a bearer token.

    PUT /v1/plan                      DriverPlan in, DriverState out; the same hash again changes nothing
    GET /v1/state                     DriverState out
    GET /v1/rows?epoch=E&after=N      Rows out; waits up to `wait` seconds (default 20) where there is none after N

An error is answered with `{"error": "a sentence"}`: 400 for what is not valid, 401 for a wrong token, 409 for a plan
of another experiment or of an earlier revision, 413 for a body that is too large, 503 while the driver reads its
journal. `/healthz` and `/metrics` need no token.
"""

import hashlib
import json
from typing import Annotated, Final

from pydantic import Field

from scaling_api.v1alpha1.base import ApiModel, Choice, Int, Many, Sha256, Time
from scaling_api.v1alpha1.execution import Budget, Execution
from scaling_api.v1alpha1.status import Sentence, Spent
from scaling_api.v1alpha1.task import Task
from scaling_api.v1alpha1.training import Training
from scaling_api.v1alpha1.trial import Failure, TrialRecord, TrialSpec

PORT: Final = 8470
"""The driver listens here."""
PROXIED_TOKEN_HEADER: Final = "X-Scaling-Authorization"
"""In place of Authorization where a request comes through the API server, which keeps that one for itself."""
LONGEST_WAIT_S: Final = 30.0
"""Of a long poll."""
MOST_ROWS: Final = 500
"""In one answer."""
LARGEST_PLAN_BYTES: Final = 64 * 2**20
LARGEST_ANSWER_BYTES: Final = 8 * 2**20

Epoch = Annotated[str, Field(pattern=r"^[0-9]{6}-[0-9a-f]{8}$", max_length=15)]
"""One life of a driver: a number that grows, and a random part that keeps two of the same number apart."""


class Intent(Choice):
    """What the driver is to do with the plan."""

    RUN = "Run"
    """Run trials; when none is left, free the lanes and go on serving rows."""
    PAUSE = "Pause"
    """Interrupt what runs, begin nothing, go on serving rows."""
    STOP = "Stop"
    """Exit with status 0. Sent once every row has been recorded."""


class DriverPlan(ApiModel):
    """All that the driver needs to know; each message replaces the one before."""

    experiment: Annotated[str, Field(min_length=1, max_length=63)]
    """The experiment's uid. A driver works for one experiment all its life."""
    revision: Annotated[Int, Field(ge=0)]
    """The spec's generation; a message of an earlier one is refused."""
    intent: Intent
    """What to do with the plan."""
    task: Task
    """What is trained."""
    training: Training
    """How."""
    corpus_fingerprint: Sha256 | None = None
    """SHA-256 of the corpus. Without it there are no trials yet: the driver finds it out and says so in its state."""
    trials: Annotated[Many[TrialSpec], Field(max_length=10_000)] = ()
    """The sweep, parents before children. It may have grown or shrunk since the last message."""
    execution: Execution = Execution()
    """Pools as they are, the administrator's defaults filled in; retries; how many trials at a time."""
    budget: Budget = Budget()
    """Hard stops, over all attempts since the experiment began."""
    spent: Spent = Spent()
    """What has been spent at least: the driver goes on from this or from its journal, whichever is more."""
    cpu_fallback: bool = False
    """Train on the CPU where a pool's accelerator is missing: an administrator's setting for tests."""

    @property
    def hash(self) -> str:
        """SHA-256 over everything but what has been spent: two messages of one hash ask for the same."""
        fields = self.model_dump(mode="json", exclude={"spent"}, exclude_defaults=True)
        return hashlib.sha256(json.dumps(fields, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


class DriverPhase(Choice):
    """What the driver is doing."""

    WAITING = "Waiting"
    """It has no plan yet."""
    RUNNING = "Running"
    """Trials run or wait to run."""
    PAUSED = "Paused"
    """Nothing runs, because it was told so."""
    FINISHED = "Finished"
    """Nothing runs and nothing will, unless the plan or the budget grows. Lanes are freed."""
    STOPPING = "Stopping"
    """It is about to exit."""


class DriverState(ApiModel):
    """Where the driver stands."""

    epoch: Epoch
    """This life of the driver."""
    experiment: Annotated[str, Field(max_length=63)] | None = None
    """The experiment that it works for, once it knows."""
    plan_hash: Sha256 | None = None
    """Hash of the plan that it follows."""
    phase: DriverPhase
    """What it is doing."""
    last_row: Annotated[Int, Field(ge=0)] = 0
    """Number of the last row."""
    corpus_fingerprint: Sha256 | None = None
    """SHA-256 of the corpus, where it was asked to find it out."""
    spent: Spent = Spent()
    """By all attempts since the experiment began, lost ones and idle accelerators included."""
    lanes: Annotated[Int, Field(ge=0)] = 0
    """Lanes that are ready or at work."""
    budget_exhausted: Sentence | None = None
    """Which limit was reached, where one was: then no further trial begins."""
    stopped: Failure | None = None
    """Why it stopped early, where it did: too many failed trials, or something that only a person can set right."""
    trouble: Sentence | None = None
    """What it waits for, where rows cannot be written: storage that is full, or cannot be reached. It goes on by
    itself."""


class Row(ApiModel):
    """One change of a trial, as it was journalled."""

    number: Annotated[Int, Field(ge=1)]
    """From 1, without gaps, in this epoch."""
    at: Time
    """When."""
    record: TrialRecord
    """The trial as it stands: Running where an attempt began; Pending where one failed and another will follow."""


class Rows(ApiModel):
    """Rows after a cursor.

    An epoch's first rows repeat, one a trial, what earlier epochs have left in storage. So a reader who does not
    know the epoch reads from 0 and misses nothing.
    """

    epoch: Epoch
    """The driver's. If it is another than the one asked for, the rows are from its beginning."""
    rows: Annotated[Many[Row], Field(max_length=MOST_ROWS)] = ()
    """In order; possibly not all that there are."""
    last_row: Annotated[Int, Field(ge=0)] = 0
    """Number of the last row that there is."""
