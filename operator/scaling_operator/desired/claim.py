"""The claim that a namespace's experiments share."""

from scaling_operator.desired.labels import MANAGED_BY
from scaling_operator.desired.manifest import Manifest
from scaling_operator.settings import Settings


def shared_claim(namespace: str, settings: Settings) -> Manifest:
    """Return the namespace's claim, to be created where it is missing and never changed.

    No experiment owns it: what is in it outlives them, and serves the next.
    """
    claim = settings.storage.claim
    storage_class = {"storageClassName": claim.storage_class_name} if claim.storage_class_name else {}
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": claim.name, "namespace": namespace, "labels": dict(MANAGED_BY)},
        "spec": {
            "accessModes": [str(claim.access_mode)],
            "resources": {"requests": {"storage": str(claim.size)}},
            **storage_class,
        },
    }
