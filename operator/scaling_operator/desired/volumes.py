"""Volumes of the Ray pods: where they may write, the results, the driver's token."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from scaling_api.v1alpha1.execution import Resources, Storage
from scaling_operator.desired.manifest import Manifest

SCRATCH: Final = "/scratch"
"""Where a node's trials work; gone with the pod."""
RESULTS: Final = "/results"
"""Where a claim is mounted."""
TOKEN_FOLDER: Final = "/var/run/scaling/driver"
"""Where the head finds the driver's token."""
TOKEN_KEY: Final = "token"
CREDENTIALS: Final = "/var/run/scaling/credentials"
"""Where the files of the credentials' Secret are mounted."""
SERVICE_ACCOUNT: Final = "/var/run/secrets/kubernetes.io/serviceaccount"
TOKEN_SECONDS: Final = 3600
"""Life of the autoscaler's token; the kubelet renews it, Ray reads it again each minute."""


@dataclass(frozen=True)
class Mounted:
    """A volume and where it is mounted."""

    name: str
    path: str
    source: Manifest
    is_read_only: bool = False

    @property
    def volume(self) -> Manifest:
        """The pod's part."""
        return {"name": self.name, **self.source}

    @property
    def mount(self) -> Manifest:
        """The container's part."""
        read_only: Manifest = {"readOnly": True} if self.is_read_only else {}
        return {"name": self.name, "mountPath": self.path, **read_only}


def working_volumes(resources: Resources) -> Iterator[Mounted]:
    """Yield what every Ray pod may write to."""
    yield Mounted("scaling-tmp", "/tmp", {"emptyDir": {}})
    yield Mounted("scaling-scratch", SCRATCH, {"emptyDir": {}})
    if resources.shared_memory is not None:
        memory = {"medium": "Memory", "sizeLimit": str(resources.shared_memory)}
        yield Mounted("shared-mem", "/dev/shm", {"emptyDir": memory})


def storage_volumes(storage: Storage) -> Iterator[Mounted]:
    """Yield what every Ray pod needs to reach the results: a claim, or the files of a URI's credentials."""
    if storage.claim_name is not None:
        yield Mounted("scaling-results", RESULTS, {"persistentVolumeClaim": {"claimName": storage.claim_name}})
    if storage.credentials_secret is not None:
        secret = {"secret": {"secretName": storage.credentials_secret, "defaultMode": 0o444}}
        yield Mounted("scaling-credentials", CREDENTIALS, secret, is_read_only=True)


def token_volume(secret_name: str) -> Mounted:
    """Return the driver's token, which the head alone mounts."""
    items = [{"key": TOKEN_KEY, "path": TOKEN_KEY}]
    secret = {"secret": {"secretName": secret_name, "items": items, "defaultMode": 0o444}}
    return Mounted("scaling-driver-token", TOKEN_FOLDER, secret, is_read_only=True)


def autoscaler_volumes() -> Iterator[Mounted]:
    """Yield what the autoscaler's container alone mounts: a Kubernetes token of its own, and a place for files."""
    sources: list[dict[str, Any]] = [
        {"serviceAccountToken": {"path": "token", "expirationSeconds": TOKEN_SECONDS}},
        {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
        {"downwardAPI": {"items": [{"path": "namespace", "fieldRef": {"fieldPath": "metadata.namespace"}}]}},
    ]
    projected = {"projected": {"defaultMode": 0o444, "sources": sources}}
    yield Mounted("scaling-autoscaler-token", SERVICE_ACCOUNT, projected, is_read_only=True)
    yield Mounted("scaling-autoscaler-tmp", "/tmp", {"emptyDir": {}})


def mounts(volumes: Iterable[Mounted], administrator: Iterable[Manifest]) -> list[Manifest]:
    """Return a container's mounts; at one path the administrator's stands in place of ours."""
    ours = {volume.path: volume.mount for volume in volumes}
    return list({**ours, **{str(mount.get("mountPath")): mount for mount in administrator}}.values())
