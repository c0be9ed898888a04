"""A worker group for each pool."""

import json
from typing import Final

from scaling_api.v1alpha1.execution import Pool
from scaling_operator.desired.manifest import Manifest
from scaling_operator.desired.pod import pod_template, ray_container
from scaling_operator.desired.quantities import slots_of, whole_cores, worker_resources
from scaling_operator.desired.request import ClusterRequest
from scaling_operator.desired.volumes import storage_volumes, working_volumes

TPU: Final = "google.com/tpu"
TPU_TOPOLOGY: Final = "cloud.google.com/gke-tpu-topology"
PORTS: Final = {"metrics": 8080}


def worker_group(request: ClusterRequest, pool: Pool) -> Manifest:
    """Return a pool's group. With the autoscaler it starts at minNodes; else, under Kueue, at maxNodes."""
    hosts = pool.accelerator.num_of_hosts if pool.accelerator else 1
    least, most = pool.min_nodes // hosts, pool.max_nodes // hosts
    return {
        "groupName": pool.name,
        "replicas": least if request.has_autoscaler else most,
        "minReplicas": least,
        "maxReplicas": most,
        "numOfHosts": hosts,
        "rayStartParams": _start_params(request, pool),
        "template": _template(request, pool),
    }


def _template(request: ClusterRequest, pool: Pool) -> Manifest:
    volumes = (*working_volumes(pool.resources), *storage_volumes(request.storage))
    accelerators = {pool.accelerator.resource: pool.accelerator.per_node} if pool.accelerator else {}
    resources = worker_resources(pool.resources, accelerators)
    container = ray_container(request, "ray-worker", resources=resources, ports=PORTS, volumes=volumes)
    topology = {TPU_TOPOLOGY: pool.accelerator.topology} if pool.accelerator and pool.accelerator.topology else {}
    return pod_template(
        request,
        container,
        volumes=volumes,
        node_selector={**pool.node_selector, **topology},
        tolerations=pool.tolerations,
    )


def _start_params(request: ClusterRequest, pool: Pool) -> dict[str, str]:
    """Return what `ray start` is told, in the quotes that both KubeRay's shell and the autoscaler take off.

    The driver hands out slots by the resource `pool-<name>`, of which a node has one for each trial.
    """
    is_gpu = pool.accelerator is not None and pool.accelerator.resource.endswith("gpu")
    return {
        "num-cpus": str(whole_cores(pool.resources)),
        "num-gpus": str(slots_of(pool) if is_gpu else 0),
        "object-store-memory": str(request.settings.ray.object_store_memory),
        "resources": f"'{json.dumps({f'pool-{pool.name}': slots_of(pool)})}'",
    }
