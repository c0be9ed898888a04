"""Trials of an experiment on a cluster."""

from collections.abc import Iterable
from dataclasses import dataclass

from scaling_api.labels import EXPERIMENT, TRIAL_STATE
from scaling_api.v1alpha1.status import TrialState
from scaling_api.v1alpha1.trial import TrialRecord
from scaling_cli.cluster.client import TRIALS, Cluster, Manifest
from scaling_cli.cluster.experiments import ClusterExperiment
from scaling_cli.cluster.reading import understood


@dataclass(frozen=True)
class ClusterTrials:
    """The records of an experiment's trials."""

    records: tuple[TrialRecord, ...]
    """Of the sweep as it is now."""
    former: int = 0
    """Trials of an earlier form of the experiment: their records stay, and no law is fitted on them."""
    unreadable: int = 0
    """Records that this version of the command does not understand."""


def read_trials(cluster: Cluster, experiment: ClusterExperiment, *, states: Iterable[TrialState] = ()) -> ClusterTrials:
    """Return an experiment's trials, or those in some states.

    Raises:
        CommandError: they cannot be read.
    """
    selector = f"{EXPERIMENT}={experiment.name}"
    if chosen := sorted(str(state) for state in states):
        selector += f",{TRIAL_STATE} in ({','.join(chosen)})"
    what = f"the trials of {experiment.name}"
    manifests = [
        manifest
        for manifest in cluster.items(cluster.path(TRIALS), what=what, labelSelector=selector)
        if is_of(manifest, experiment.uid)
    ]
    records = [record for manifest in manifests if (record := record_of(manifest)) is not None]
    planned = planned_ids(experiment)
    current = tuple(record for record in records if planned is None or record.spec.id in planned)
    return ClusterTrials(current, len(records) - len(current), len(manifests) - len(records))


def is_of(manifest: Manifest, uid: str) -> bool:
    """Whether a trial is owned by the experiment of this uid, and not by a deleted one of its name."""
    owners = manifest["metadata"].get("ownerReferences") or ()
    return not uid or not owners or any(owner.get("uid") == uid for owner in owners)


def record_of(manifest: Manifest) -> TrialRecord | None:
    """Return a ScalingTrial as a record; None where it is not understood."""
    fields = {"spec": manifest.get("spec") or {}, "status": manifest.get("status") or {}}
    return understood(TrialRecord, fields)


def planned_ids(experiment: ClusterExperiment) -> frozenset[str] | None:
    """Return the ids of the trials that the spec asks for now; None where this version cannot tell.

    Only an experiment whose sweep has changed has other trials, so the plan is not made for any other.
    """
    status, spec = experiment.status, experiment.spec
    if spec is None or status.corpus_fingerprint is None or experiment.generation <= 1:
        return None
    from scaling_laws.design.identity import RECIPE_VERSION

    if status.recipe_version not in {None, RECIPE_VERSION}:
        return None  # another version made these trials, under other ids
    from scaling_api.problems import InvalidExperimentError
    from scaling_laws.design.plan import plan_trials

    try:
        return frozenset(t.id for t in plan_trials(spec, corpus_fingerprint=status.corpus_fingerprint).trials)
    except InvalidExperimentError:
        return None
