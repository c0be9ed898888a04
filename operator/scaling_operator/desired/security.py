"""The restricted pod security profile, and a root file system that cannot be written."""

from scaling_operator.desired.manifest import Manifest
from scaling_operator.settings import Pods


def pod_security(pods: Pods) -> Manifest:
    """Return a pod's security context."""
    ids = {"runAsUser": pods.run_as_user, "runAsGroup": pods.run_as_group, "fsGroup": pods.fs_group}
    return {
        "runAsNonRoot": True,
        **{name: number for name, number in ids.items() if number},
        # A volume with a million checkpoints is not walked at each start.
        "fsGroupChangePolicy": "OnRootMismatch",
        "seccompProfile": {"type": "RuntimeDefault"},
    }


def container_security() -> Manifest:
    """Return a container's security context. The autoscaler's is no part of the pod's template: it says all itself."""
    return {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "readOnlyRootFilesystem": True,
        "runAsNonRoot": True,
        "seccompProfile": {"type": "RuntimeDefault"},
    }
