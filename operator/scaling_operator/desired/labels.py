"""How an experiment's objects are named, labelled and owned."""

from collections.abc import Mapping
from typing import Final

from scaling_api.labels import EXPERIMENT, EXPERIMENT_UID
from scaling_api.v1alpha1.base import API_VERSION, GROUP
from scaling_operator.desired.manifest import Manifest
from scaling_operator.observed import Identity

ATTEMPT: Final = f"{GROUP}/attempt"
"""Label with the number k of the RayJob, on it, its RayCluster and pods."""
CLAIM: Final = f"{GROUP}/claim"
"""Label with the claim that a pod mounts, where all its pods must share a node."""
MANAGED_BY: Final = {"app.kubernetes.io/managed-by": "scaling-operator"}


def ray_job_name(identity: Identity, attempt: int) -> str:
    """Return the RayJob's name: at most 47 characters, as KubeRay wants it, up to attempt 999."""
    return f"{identity.name}-a{attempt}"


def secret_name(identity: Identity) -> str:
    """Return the name of the Secret with the driver's token."""
    return f"{identity.name}-driver"


def service_account_name(identity: Identity) -> str:
    """Return the name of the experiment's own ServiceAccount."""
    return f"{identity.name}-ray"


def trial_name(identity: Identity, trial_id: str) -> str:
    """Return the name of a trial's record."""
    return f"{identity.name}-{trial_id}"


def labels_of(identity: Identity) -> dict[str, str]:
    """Return the labels of all that belongs to the experiment."""
    return {**MANAGED_BY, EXPERIMENT: identity.name, EXPERIMENT_UID: identity.uid}


def owned(identity: Identity, name: str, *, labels: Mapping[str, str] | None = None) -> Manifest:
    """Return the metadata of an object that goes when the experiment goes, whoever is there to delete it.

    The owner is not blocked: that would need the right to change the experiment's finalizers.
    """
    owner = {"apiVersion": API_VERSION, "kind": "ScalingExperiment", "name": identity.name, "uid": identity.uid}
    return {
        "name": name,
        "namespace": identity.namespace,
        "labels": {**labels_of(identity), **(labels or {})},
        "ownerReferences": [{**owner, "controller": True, "blockOwnerDeletion": False}],
    }
