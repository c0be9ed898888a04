"""The head: Ray's control processes and the driver, no trials."""

from typing import Final

from scaling_api.driver_protocol import PORT
from scaling_operator.desired.driver import PORT_NAME
from scaling_operator.desired.environment import environment
from scaling_operator.desired.labels import secret_name
from scaling_operator.desired.manifest import Manifest
from scaling_operator.desired.pod import pod_template, ray_container
from scaling_operator.desired.quantities import control_resources
from scaling_operator.desired.request import ClusterRequest
from scaling_operator.desired.security import container_security
from scaling_operator.desired.volumes import (
    autoscaler_volumes,
    mounts,
    storage_volumes,
    token_volume,
    working_volumes,
)

DASHBOARD: Final = 8265
METRICS: Final = {"metrics": 8080, "as-metrics": 44217, "dash-metrics": 44227}
PORTS: Final = {"gcs-server": 6379, "dashboard": DASHBOARD, "client": 10001, **METRICS, PORT_NAME: PORT}
"""A named port takes the place of all of KubeRay's own, without which no job is ever submitted: so all are named."""


def head_group(request: ClusterRequest) -> Manifest:
    """Return the head's group."""
    head = request.execution.head
    own = (
        *working_volumes(head.resources),
        *storage_volumes(request.storage),
        token_volume(secret_name(request.identity)),
    )
    container = ray_container(
        request, "ray-head", resources=control_resources(head.resources), ports=PORTS, volumes=own
    )
    beside = tuple(autoscaler_volumes()) if request.has_autoscaler else ()
    return {
        "serviceType": "ClusterIP",
        "rayStartParams": {
            "dashboard-host": "0.0.0.0",
            "num-cpus": "0",
            "num-gpus": "0",
            "object-store-memory": str(request.settings.ray.object_store_memory),
        },
        "template": pod_template(request, container, volumes=(*own, *beside), node_selector=head.node_selector),
    }


def autoscaler_options(request: ClusterRequest) -> Manifest:
    """Return the autoscaler's part: it alone has a Kubernetes token, and KubeRay sets none of its security."""
    settings = request.settings
    return {
        "version": "v2",
        "idleTimeoutSeconds": settings.ray.idle_timeout_seconds,
        "upscalingMode": "Default",
        "imagePullPolicy": settings.trainer.pull_policy,
        "resources": control_resources(settings.ray.autoscaler),
        "securityContext": container_security(),
        "env": environment((), settings.pods.env),
        "volumeMounts": mounts(autoscaler_volumes(), settings.pods.volume_mounts),
    }
