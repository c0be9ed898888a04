"""Experiments on a cluster."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from difflib import get_close_matches
from functools import cached_property
from typing import Any

from scaling_api.v1alpha1 import ExperimentSpec
from scaling_api.v1alpha1.base import NAME_LENGTH, NAME_MEANING, NAME_PATTERN
from scaling_api.v1alpha1.status import Condition, ExperimentStatus
from scaling_cli.cluster.client import EXPERIMENTS, Cluster, Manifest
from scaling_cli.cluster.errors import RefusedError
from scaling_cli.cluster.reading import understood
from scaling_cli.errors import CommandError, ExitCode


@dataclass(frozen=True)
class ClusterExperiment:
    """An experiment as it stands on the API server."""

    manifest: Manifest

    @property
    def name(self) -> str:
        """Its name."""
        return str(self.manifest["metadata"]["name"])

    @property
    def namespace(self) -> str:
        """Where it is."""
        return str(self.manifest["metadata"].get("namespace", ""))

    @property
    def uid(self) -> str:
        """Tells it from an earlier experiment of the same name."""
        return str(self.manifest["metadata"].get("uid", ""))

    @property
    def generation(self) -> int:
        """Of its spec."""
        return int(self.manifest["metadata"].get("generation", 0))

    @property
    def is_deleting(self) -> bool:
        """It is about to go."""
        return "deletionTimestamp" in self.manifest["metadata"]

    @property
    def created(self) -> datetime | None:
        """When it was created."""
        return time_of(self.manifest["metadata"].get("creationTimestamp"))

    @cached_property
    def spec(self) -> ExperimentSpec | None:
        """The question; None where this version does not understand it."""
        return understood(ExperimentSpec, self.manifest.get("spec") or {})

    @cached_property
    def status(self) -> ExperimentStatus:
        """The answer so far; empty before the operator has seen it."""
        return understood(ExperimentStatus, self.manifest.get("status") or {}) or ExperimentStatus()

    @property
    def is_suspended(self) -> bool:
        """Whether spec.suspend is set."""
        return bool((self.manifest.get("spec") or {}).get("suspend"))

    @property
    def finished(self) -> int:
        """Trials that have their end."""
        counts = self.status.trials
        return counts.succeeded + counts.failed + counts.diverged

    @property
    def is_seen(self) -> bool:
        """Whether the operator speaks of the spec as it is now."""
        return self.status.observed_generation >= max(1, self.generation)

    def condition(self, kind: str) -> Condition | None:
        """Return a condition, unless it speaks of an earlier spec or was never set."""
        found = next((c for c in self.status.conditions if c.type == kind), None)
        if found is None or found.observed_generation < self.generation:
            return None
        return found

    def is_true(self, kind: str) -> bool:
        """Whether a condition is True of the spec as it is now."""
        found = self.condition(kind)
        return found is not None and found.status == "True"


def time_of(text: object) -> datetime | None:
    """Return a time that the API server wrote."""
    try:
        return datetime.fromisoformat(text) if isinstance(text, str) else None
    except ValueError:
        return None


def require_name(name: str) -> str:
    """Return the name, if an experiment can have it.

    Raises:
        CommandError: it cannot; an empty one would name the list of all.
    """
    import re

    if len(name) > NAME_LENGTH or not re.fullmatch(NAME_PATTERN, name):
        raise CommandError(f"{name!r} is no experiment's name: {NAME_MEANING.format(NAME_LENGTH)}.")
    return name


def words_for(name: str, cluster: Cluster) -> str:
    """Return the experiment in words, for messages."""
    return f"the experiment {name} in the namespace {cluster.namespace}"


def read_experiment(cluster: Cluster, name: str) -> ClusterExperiment:
    """Return an experiment.

    Raises:
        CommandError: there is none of that name; the message names near ones.
    """
    what = words_for(require_name(name), cluster)
    try:
        return ClusterExperiment(cluster.get(cluster.path(EXPERIMENTS, name), what=what))
    except RefusedError as error:
        if error.status != 404 or error.is_kind_missing:
            raise
        raise CommandError(_not_found(cluster, name)) from None


def list_experiments(cluster: Cluster, *, everywhere: bool = False) -> tuple[ClusterExperiment, ...]:
    """Return the experiments of the namespace, or of all."""
    place = cluster.everywhere() if everywhere else cluster
    return tuple(map(ClusterExperiment, place.items(place.path(EXPERIMENTS), what="experiments")))


def patch_spec(cluster: Cluster, name: str, spec: Mapping[str, Any]) -> ClusterExperiment:
    """Change fields of an experiment's spec and return it."""
    patch = {"spec": dict(spec)}
    what = words_for(name, cluster)
    return ClusterExperiment(cluster.merge(cluster.path(EXPERIMENTS, name), patch, what=what))


def delete_experiment(cluster: Cluster, experiment: ClusterExperiment) -> None:
    """Delete this experiment, and not a later one of the same name."""
    path = cluster.path(EXPERIMENTS, experiment.name)
    cluster.delete(path, uid=experiment.uid, what=words_for(experiment.name, cluster))


def _not_found(cluster: Cluster, name: str) -> str:
    """Return that there is no such experiment, and which there are."""
    head = f"There is no experiment {name} in the namespace {cluster.namespace}"
    try:
        names = [experiment.name for experiment in list_experiments(cluster)]
        elsewhere = _elsewhere(cluster, name)
    except CommandError:
        return f"{head}."
    if near := get_close_matches(name, names, n=3, cutoff=0.6):
        return f"{head}; did you mean {' or '.join(near)}?"
    if elsewhere:
        return f"{head}. There is one in {', '.join(elsewhere)}: name it with --namespace."
    if not names:
        return f"{head}, nor any other; scaling list -A looks in all namespaces."
    return f"{head}. There are: {', '.join(names[:10])}{', ...' if len(names) > 10 else ''}."


def _elsewhere(cluster: Cluster, name: str) -> list[str]:
    """Return the namespaces that have an experiment of the name, as far as one may look."""
    try:
        return [e.namespace for e in list_experiments(cluster, everywhere=True) if e.name == name][:5]
    except RefusedError as error:
        if error.exit_code is ExitCode.UNREACHABLE:
            raise
        return []
