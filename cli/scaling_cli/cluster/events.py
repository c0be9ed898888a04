"""Kubernetes Events about an experiment and what belongs to it."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from scaling_cli.cluster.client import Cluster, Manifest
from scaling_cli.cluster.experiments import ClusterExperiment, time_of

EVENTS_GROUP = "events.k8s.io/v1"


@dataclass(frozen=True)
class ClusterEvent:
    """Something that happened."""

    about: str
    """Kind and name, such as Pod quickstart-a1-head-x7k2p."""
    type: str
    """Normal or Warning."""
    reason: str
    note: str
    at: datetime | None
    """When it was seen last."""
    count: int = 1

    @property
    def is_warning(self) -> bool:
        """Someone should know."""
        return self.type == "Warning"


def read_warnings(cluster: Cluster, experiment: ClusterExperiment) -> tuple[ClusterEvent, ...]:
    """Return the warnings about an experiment, its RayJobs, RayClusters and pods; the latest first.

    Raises:
        CommandError: they cannot be read.
    """
    path = cluster.path("events", group=EVENTS_GROUP)
    manifests = cluster.items(path, what="Events", fieldSelector="type=Warning")
    return latest_first(event_of(manifest) for manifest in manifests if is_about(manifest, experiment))


def is_about(manifest: Manifest, experiment: ClusterExperiment) -> bool:
    """Whether an Event is about the experiment or what belongs to it: `NAME-a1`, `NAME-a1-xxxxx-head-yyyyy`, ..."""
    regarding = manifest.get("regarding") or {}
    if regarding.get("kind") == "ScalingExperiment":
        return bool(regarding.get("uid", experiment.uid) == experiment.uid and regarding.get("name") == experiment.name)
    attempt = experiment.status.ray_job.attempt if experiment.status.ray_job else None
    name = str(regarding.get("name", ""))
    return any(name == own or name.startswith(f"{own}-") for own in _own_names(experiment.name, attempt))


def _own_names(name: str, attempt: int | None) -> Iterable[str]:
    """Return what the names of an experiment's objects begin with; `tiny-b` is another experiment than `tiny`."""
    return () if attempt is None else (f"{name}-a{attempt}",)


def event_of(manifest: Manifest) -> ClusterEvent:
    """Return an Event, whichever of the two kinds of writers wrote it."""
    regarding = manifest.get("regarding") or {}
    series = manifest.get("series") or {}
    times = (
        series.get("lastObservedTime"),
        manifest.get("deprecatedLastTimestamp"),
        manifest.get("eventTime"),
        manifest["metadata"].get("creationTimestamp"),
    )
    return ClusterEvent(
        about=f"{regarding.get('kind', '')} {regarding.get('name', '')}".strip(),
        type=str(manifest.get("type", "")),
        reason=str(manifest.get("reason", "")),
        note=" ".join(str(manifest.get("note", "")).split()),
        at=next((at for text in times if (at := time_of(text)) is not None), None),
        count=int(series.get("count") or manifest.get("deprecatedCount") or 1),
    )


def latest_first(events: Iterable[ClusterEvent]) -> tuple[ClusterEvent, ...]:
    """Return events by time, the latest first; those of one cause once."""
    ordered = sorted(events, key=lambda e: e.at.timestamp() if e.at else 0.0, reverse=True)
    kept: dict[tuple[str, str, str], ClusterEvent] = {}
    for event in ordered:
        kept.setdefault((event.about, event.reason, event.note), event)
    return tuple(kept.values())
