"""The template that every Ray pod is made from, head or worker."""

from collections.abc import Sequence
from typing import Final

from scaling_api.v1alpha1.execution import Toleration
from scaling_operator.desired.environment import environment
from scaling_operator.desired.labels import CLAIM
from scaling_operator.desired.manifest import Manifest
from scaling_operator.desired.request import ClusterRequest
from scaling_operator.desired.security import container_security, pod_security
from scaling_operator.desired.volumes import Mounted, mounts

UNTOUCHED: Final = {
    # A trial that is moved starts again from its last checkpoint. Idle pods go by Ray's own autoscaler.
    "cluster-autoscaler.kubernetes.io/safe-to-evict": "false",
    "karpenter.sh/do-not-disrupt": "true",
}
GRACE_S: Final = 10
"""The shell that KubeRay starts Ray from passes no signal on, so every pod is there to the end of its grace: cores and
accelerators that nobody uses, and a lost head's successor that waits. A driver that is asked to end does so in 8 s."""


def pod_template(
    request: ClusterRequest,
    container: Manifest,
    *,
    volumes: Sequence[Mounted],
    node_selector: dict[str, str],
    tolerations: Sequence[Toleration] = (),
) -> Manifest:
    """Return the template of a pod whose first container is Ray's, as KubeRay wants it.

    `volumes` are the pod's; which of them the container mounts, it says itself.
    """
    pods = request.settings.pods
    optional = {
        "imagePullSecrets": [{"name": name} for name in request.settings.trainer.pull_secrets],
        "nodeSelector": {**node_selector, **pods.node_selector},
        "tolerations": [_toleration(toleration) for toleration in (*tolerations, *pods.tolerations)],
        "priorityClassName": request.execution.priority_class_name,
        "runtimeClassName": pods.runtime_class_name,
        "affinity": _affinity(request) if request.shares_node else None,
    }
    spec = {
        # Ray's second autoscaler wants Never; KubeRay makes a new pod of one that ends.
        "restartPolicy": "Never",
        "terminationGracePeriodSeconds": GRACE_S,
        "serviceAccountName": request.service_account,
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "securityContext": pod_security(pods),
        "containers": [container],
        "volumes": [*(volume.volume for volume in volumes), *pods.volumes],
        **{name: value for name, value in optional.items() if value},
    }
    annotations = {**UNTOUCHED, **pods.annotations}
    return {"metadata": {"labels": request.pod_labels, "annotations": annotations}, "spec": spec}


def ray_container(
    request: ClusterRequest, name: str, *, resources: Manifest, ports: dict[str, int], volumes: Sequence[Mounted]
) -> Manifest:
    """Return Ray's container. KubeRay writes its command and its probes, and its own variables after ours."""
    execution, settings = request.execution, request.settings
    secret = request.storage.credentials_secret
    credentials = {"envFrom": [{"secretRef": {"name": secret}}]} if secret else {}
    return {
        "name": name,
        "image": execution.image,
        "imagePullPolicy": settings.trainer.pull_policy,
        "env": environment(execution.env, settings.pods.env),
        **credentials,
        "ports": [{"name": port, "containerPort": number} for port, number in ports.items()],
        "resources": resources,
        "securityContext": container_security(),
        "volumeMounts": mounts(volumes, settings.pods.volume_mounts),
    }


def _toleration(toleration: Toleration) -> Manifest:
    return toleration.model_dump(mode="json", exclude_none=True)


def _affinity(request: ClusterRequest) -> Manifest:
    """All pods of the claim on one node. The first finds none and matches itself: the scheduler lets it choose."""
    selector = {"matchLabels": {CLAIM: request.storage.claim_name}}
    term = {"labelSelector": selector, "topologyKey": "kubernetes.io/hostname"}
    return {"podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]}}
