"""What is known of an experiment while it is followed: kept up to date by messages, asked by displays."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from scaling_api import labels
from scaling_api.v1alpha1.status import TrialState
from scaling_api.v1alpha1.trial import TrialRecord
from scaling_cli.cluster.client import EXPERIMENTS, TRIALS, Cluster, Manifest
from scaling_cli.cluster.events import EVENTS_GROUP, ClusterEvent, event_of, is_about
from scaling_cli.cluster.experiments import ClusterExperiment
from scaling_cli.cluster.trials import is_of, record_of
from scaling_cli.cluster.watching import Changed, Gone, Listed, Lost, Message, Refused, Source

EXPERIMENT, TRIAL, EVENT = "experiment", "trials", "events"
_FEWEST_SHARE: Final = 0.02
"""Of the work, that must be seen done before its speed is believed."""


def sources(cluster: Cluster, name: str) -> tuple[Source, ...]:
    """Return what is watched of an experiment."""
    return (
        Source(
            EXPERIMENT,
            cluster.path(EXPERIMENTS),
            f"the experiment {name}",
            (("fieldSelector", f"metadata.name={name}"),),
        ),
        Source(
            TRIAL, cluster.path(TRIALS), f"the trials of {name}", (("labelSelector", f"{labels.EXPERIMENT}={name}"),)
        ),
        Source(EVENT, cluster.path("events", group=EVENTS_GROUP), "Events", (("fieldSelector", "type=Warning"),)),
    )


@dataclass(frozen=True)
class TrialSeen:
    """What is kept of one of ten thousand trials."""

    state: TrialState
    flops: float


@dataclass
class Followed:
    """An experiment that is followed."""

    experiment: ClusterExperiment
    begin: datetime
    """Since when; earlier warnings are history."""
    trials: dict[str, TrialSeen] = field(default_factory=dict)
    """By id."""
    running: dict[str, TrialRecord] = field(default_factory=dict)
    """By id."""
    is_deleted: bool = False
    lost: str | None = None
    """Why the API server cannot be asked at the moment."""
    unseen: dict[str, str] = field(default_factory=dict)
    """Why a source is not shown."""
    _told: set[tuple[str, str, int]] = field(default_factory=set)
    _first: tuple[float, datetime] | None = None
    """Share of the work that was done when the speed began to be measured."""

    def take(self, message: Message) -> Iterator[str]:
        """Follow a message; yield sentences that people should see."""
        match message:
            case Lost():
                if self.lost is None:
                    yield f"{message.why} Trying again."
                self.lost = message.why
                return
            case Refused():
                if message.source == EXPERIMENT:
                    raise message.error
                self.unseen[message.source] = str(message.error)
                yield f"Not shown: {message.source}. {message.error}"
                return
        self.lost = None
        if message.source == EXPERIMENT:
            self._take_experiment(message)
        elif message.source == TRIAL:
            yield from self._take_trials(message)
        else:
            yield from self._take_events(message)

    def _take_experiment(self, message: Listed | Changed | Gone) -> None:
        manifests = message.manifests if isinstance(message, Listed) else (message.manifest,)
        ours = [found for manifest in manifests if (found := ClusterExperiment(manifest)).uid == self.experiment.uid]
        self.is_deleted = self.is_deleted or isinstance(message, Gone) or not ours
        if ours and not isinstance(message, Gone):
            self.experiment = ours[0]

    def _take_trials(self, message: Listed | Changed | Gone) -> Iterator[str]:
        is_list = isinstance(message, Listed)
        if is_list:
            self.trials, self.running = {}, {}
        for manifest in message.manifests if isinstance(message, Listed) else (message.manifest,):
            if not is_of(manifest, self.experiment.uid) or (record := record_of(manifest)) is None:
                continue
            if isinstance(message, Gone):
                self.trials.pop(record.spec.id, None)
                self.running.pop(record.spec.id, None)
                continue
            sentence = self._take_trial(record)
            if sentence and not is_list:
                yield sentence

    def _take_trial(self, record: TrialRecord) -> str | None:
        id_, state = record.spec.id, record.status.state
        before = self.trials.get(id_)
        self.trials[id_] = TrialSeen(state, record.spec.flops)
        if state is TrialState.RUNNING:
            self.running[id_] = record
        else:
            self.running.pop(id_, None)
        if state not in {TrialState.FAILED, TrialState.DIVERGED} or (before and before.state is state):
            return None
        from scaling_cli.show.trial_names import describe

        why = f" {record.status.failure.message}" if record.status.failure else ""
        return f"{describe(record.spec)}: {state.value.lower()}.{why}"

    def _take_events(self, message: Listed | Changed | Gone) -> Iterator[str]:
        for manifest in _manifests(message):
            if not is_about(manifest, self.experiment):
                continue
            event = event_of(manifest)
            key = (event.about, event.note, event.count)
            if event.at is not None and event.at >= self.begin and key not in self._told:
                self._told.add(key)
                yield sentence_of(event)

    @property
    def finished(self) -> int:
        """Trials that have their end."""
        return self.experiment.finished

    @property
    def total(self) -> int:
        """Trials of the plan; 0 before there is one."""
        plan = self.experiment.status.plan
        return plan.trials if plan else 0

    @property
    def fraction(self) -> float:
        """Share of the planned FLOPs that is done; of the trials, where their records can't be seen."""
        plan = self.experiment.status.plan
        if plan is None or not plan.trials:
            return 0.0
        if TRIAL in self.unseen or not self.trials or not plan.training_flops:
            return min(1.0, self.finished / plan.trials)
        done = sum(trial.flops for trial in self.trials.values() if trial.state.is_finished)
        return min(1.0, done / plan.training_flops)

    def seconds_left(self, now: datetime) -> float | None:
        """Return the expected time to the end; None where too little has been seen.

        The speed is that of the time watched; before enough of the work was done in it, that since the start.
        """
        fraction, started = self.fraction, self.experiment.status.started_at
        if self._first is None and self.running:
            self._first = (fraction, now)
        if self._first is not None and fraction - self._first[0] >= _FEWEST_SHARE:
            speed = (fraction - self._first[0]) / max(1.0, (now - self._first[1]).total_seconds())
        elif started is not None and fraction >= _FEWEST_SHARE:
            speed = fraction / max(1.0, (now - started).total_seconds())
        else:
            return None
        return (1.0 - fraction) / speed


def _manifests(message: Listed | Changed | Gone) -> tuple[Manifest, ...]:
    if isinstance(message, Gone):
        return ()
    return message.manifests if isinstance(message, Listed) else (message.manifest,)


def sentence_of(event: ClusterEvent) -> str:
    """Return an Event as a sentence; what the operator says of the experiment needs no name."""
    about = "" if event.about.startswith("ScalingExperiment ") else f"{event.about}: "
    return f"{about}{event.reason}: {event.note}"
