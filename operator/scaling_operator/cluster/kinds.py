"""The kinds of objects that the operator reads or writes, and their places in the API."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from scaling_api.v1alpha1.base import API_VERSION


@dataclass(frozen=True)
class Kind:
    """A kind of object."""

    api_version: str
    """Such as v1 or ray.io/v1."""
    name: str
    """Such as RayJob."""
    plural: str
    """Such as rayjobs."""

    def path(self, namespace: str | None = None, name: str | None = None) -> str:
        """Return the place of an object, or of all of them, in a namespace or in all."""
        root = f"/apis/{self.api_version}" if "/" in self.api_version else f"/api/{self.api_version}"
        folder = f"{root}/namespaces/{namespace}/{self.plural}" if namespace else f"{root}/{self.plural}"
        return f"{folder}/{name}" if name else folder


EXPERIMENTS: Final = Kind(API_VERSION, "ScalingExperiment", "scalingexperiments")
TRIALS: Final = Kind(API_VERSION, "ScalingTrial", "scalingtrials")
RAY_JOBS: Final = Kind("ray.io/v1", "RayJob", "rayjobs")
RAY_CLUSTERS: Final = Kind("ray.io/v1", "RayCluster", "rayclusters")
WORKLOADS: Final = Kind("kueue.x-k8s.io/v1beta2", "Workload", "workloads")
PODS: Final = Kind("v1", "Pod", "pods")
CLAIMS: Final = Kind("v1", "PersistentVolumeClaim", "persistentvolumeclaims")
SECRETS: Final = Kind("v1", "Secret", "secrets")
LEASES: Final = Kind("coordination.k8s.io/v1", "Lease", "leases")
EVENTS: Final = Kind("events.k8s.io/v1", "Event", "events")
NETWORK_POLICIES: Final = Kind("networking.k8s.io/v1", "NetworkPolicy", "networkpolicies")
SERVICE_ACCOUNTS: Final = Kind("v1", "ServiceAccount", "serviceaccounts")

KINDS: Final = (
    EXPERIMENTS,
    TRIALS,
    RAY_JOBS,
    RAY_CLUSTERS,
    WORKLOADS,
    PODS,
    CLAIMS,
    SECRETS,
    LEASES,
    EVENTS,
    NETWORK_POLICIES,
    SERVICE_ACCOUNTS,
)
_BY_NAME: Final = {(kind.api_version, kind.name): kind for kind in KINDS}


def kind_of(manifest: Mapping[str, Any]) -> Kind:
    """Return the kind of a manifest.

    Raises:
        KeyError: the operator has nothing to do with this kind.
    """
    return _BY_NAME[manifest["apiVersion"], manifest["kind"]]
