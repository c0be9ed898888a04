"""How the driver is started in the head, and where it answers."""

import shlex
from dataclasses import dataclass

from scaling_api.driver_protocol import PORT
from scaling_operator.desired.request import ClusterRequest
from scaling_operator.desired.volumes import RESULTS, SCRATCH, TOKEN_FOLDER, TOKEN_KEY
from scaling_operator.settings import Driver, Reach

PORT_NAME = "driver"


@dataclass(frozen=True)
class DriverAddress:
    """Where a driver answers."""

    url: str
    """Before /v1; a path of the API server where `is_proxied`."""
    is_proxied: bool


def driver_address(namespace: str, ray_cluster: str, driver: Driver) -> DriverAddress:
    """Return where the driver in the head of a RayCluster answers.

    KubeRay's head Service has every named port of the head's container, and no address of its own: its name is
    the head pod's address, also before the pod is Ready.
    """
    service = f"{ray_cluster}-head-svc"
    if driver.reach is Reach.API_PROXY:
        path = f"/api/v1/namespaces/{namespace}/services/{service}:{PORT_NAME}/proxy"
        return DriverAddress(path, is_proxied=True)
    return DriverAddress(f"http://{service}.{namespace}.svc.{driver.cluster_domain}:{PORT}", is_proxied=False)


def storage_root(request: ClusterRequest) -> str:
    """Return the storage as the pods see it: the URI, or the folder where the claim is mounted."""
    return request.storage.uri or RESULTS


def entrypoint(request: ClusterRequest) -> str:
    """Return the shell command that Ray runs in the head."""
    identity = request.identity
    options = {
        "--storage": storage_root(request),
        "--experiment": identity.uid,
        "--namespace": identity.namespace,
        "--name": identity.name,
        "--token-file": f"{TOKEN_FOLDER}/{TOKEN_KEY}",
        "--port": str(PORT),
        "--scratch": SCRATCH,
        "--executor": "ray",
    }
    words = [request.settings.trainer.python, "-m", "scaling_trainer.driver"]
    return shlex.join([*words, *(word for option in options.items() for word in option)])
