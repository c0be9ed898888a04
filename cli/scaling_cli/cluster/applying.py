"""From a file to an experiment on a cluster, with a word on all that differs."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from scaling_api.messages import shown
from scaling_api.v1alpha1 import ExperimentSpec
from scaling_cli.cluster.client import EXPERIMENTS, Cluster, Manifest
from scaling_cli.cluster.errors import RefusedError
from scaling_cli.cluster.experiments import ClusterExperiment, words_for
from scaling_cli.cluster.options import ClusterOptions
from scaling_cli.cluster.reading import understood
from scaling_cli.documents import to_json
from scaling_cli.errors import CommandError
from scaling_cli.experiments import LoadedExperiment

_WRITTEN_BY_THE_SERVER = ("managedFields", "resourceVersion", "uid", "creationTimestamp", "generation", "selfLink")


@dataclass(frozen=True)
class Applied:
    """What an apply did, or, after a dry run, would do."""

    experiment: ClusterExperiment
    is_new: bool
    changes: tuple[str, ...]
    """Fields of the spec that are now otherwise than they were."""
    kept: tuple[str, ...]
    """Fields that are set on the cluster and not in the file: someone else has set them, and they stay."""


def namespace_for(loaded: LoadedExperiment, options: ClusterOptions) -> str | None:
    """Return the namespace that the file or the command line names; None where neither does.

    Raises:
        CommandError: they name different ones.
    """
    named = loaded.experiment.metadata.namespace
    if named and options.namespace and named != options.namespace:
        raise CommandError(
            f"{loaded.source.name}: metadata.namespace is {named}, and the command says {options.namespace}; make "
            "them the same."
        )
    return options.namespace or named


def apply_experiment(cluster: Cluster, loaded: LoadedExperiment, *, dry_run: bool) -> Applied:
    """Apply an experiment server-side; a dry run changes nothing.

    Raises:
        CommandError: the API server does not accept it, or it is just being deleted.
    """
    manifest = manifest_of(loaded)
    name = loaded.experiment.metadata.name
    path, what = cluster.path(EXPERIMENTS, name), words_for(name, cluster)
    before = _before(cluster, path, what=what)
    try:
        after = ClusterExperiment(cluster.apply(path, manifest, what=what, dry_run=dry_run))
    except RefusedError as error:
        raise _placed(error, loaded) from None
    changes = () if before is None else tuple(differences(before.manifest["spec"], after.manifest["spec"], "spec"))
    return Applied(after, before is None, changes, tuple(_kept(loaded, after)))


def manifest_of(loaded: LoadedExperiment) -> Manifest:
    """Return what the file says, without defaults: fields that it does not set stay whoever's they are."""
    manifest = to_json(loaded.source.root)
    assert isinstance(manifest, dict)
    metadata = manifest["metadata"]
    assert isinstance(metadata, dict)
    cleaned = {key: value for key, value in metadata.items() if key not in _WRITTEN_BY_THE_SERVER}
    return {
        "apiVersion": manifest["apiVersion"],
        "kind": manifest["kind"],
        "metadata": cleaned,
        "spec": manifest["spec"],
    }


def _before(cluster: Cluster, path: str, *, what: str) -> ClusterExperiment | None:
    try:
        before = ClusterExperiment(cluster.get(path, what=what))
    except RefusedError as error:
        if error.status == 404 and not error.is_kind_missing:
            return None
        raise
    if before.is_deleting:
        raise CommandError(f"{what[:1].upper()}{what[1:]} is being deleted; apply it again once it is gone.")
    return before


def _placed(error: RefusedError, loaded: LoadedExperiment) -> CommandError:
    """Return the API server's mistakes with their lines in the file, as those found here have them."""
    from scaling_api.problems import Problem

    _, _, rest = str(error).partition("\n")
    problems = [
        Problem(match[1], match[2]) for line in rest.splitlines() if (match := re.match(r"(spec\S*): (.*)", line))
    ]
    return loaded.source.error(problems) if problems and len(problems) == len(rest.splitlines()) else error


def _kept(loaded: LoadedExperiment, after: ClusterExperiment) -> Iterator[str]:
    """Yield what the cluster's spec says beyond the file; defaults are the same on both sides."""
    there = understood(ExperimentSpec, after.manifest["spec"])
    if there is None:
        return
    here = loaded.experiment.spec.model_dump(mode="json")
    for path, ours, theirs in _differing(here, there.model_dump(mode="json"), "spec"):
        yield f"{path} is {_value(theirs)} on the cluster and {_value(ours)} in the file"


def differences(before: Any, after: Any, path: str) -> Iterator[str]:
    """Yield what differs between two values of JSON, a clause each: `spec.budget.cost: 250, was 100`."""
    for place, old, new in _differing(before, after, path):
        yield f"{place}: {_value(new)}, was {_value(old)}"


def _differing(before: Any, after: Any, path: str) -> Iterator[tuple[str, Any, Any]]:
    if isinstance(before, dict) and isinstance(after, dict):
        for key in dict.fromkeys((*before, *after)):
            yield from _differing(before.get(key), after.get(key), f"{path}.{key}")
    elif isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        for index, (old, new) in enumerate(zip(before, after, strict=True)):
            yield from _differing(old, new, f"{path}[{index}]")
    elif before != after:
        yield path, before, after


def _value(value: Any) -> str:
    if value is None:
        return "not set"
    if isinstance(value, list) and all(isinstance(item, str | int | float) for item in value) and len(value) <= 8:
        return f"[{', '.join(map(_value, value))}]"
    if isinstance(value, int | float) and not isinstance(value, bool) and float(short := f"{value:g}") == value:
        return short
    return shown(value)
