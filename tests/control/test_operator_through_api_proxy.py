"""Drivers that the operator reaches through the API server alone, as from outside the cluster.

The API server proxies to no address of 127.0.0.0/8. The drivers listen on another one, of the loopback interface all
the same, which only root can give it.
"""

import os
import subprocess
from collections.abc import Iterator
from typing import Any, Final

import pytest
from kuberay_stand_in import KubeRayStandIn, kuberay
from operators import Bed, experiment, running, wait_until

from scaling_operator.cluster.client import MERGE, Call
from scaling_operator.cluster.kinds import PODS
from scaling_operator.desired.driver import PORT_NAME

ADDRESS: Final = "198.51.100.77"
"""Of a block that is kept for documentation, RFC 5737."""


@pytest.fixture
def address() -> Iterator[str]:
    """Have the address on the loopback interface."""
    if os.geteuid():
        pytest.skip("only root can give the loopback interface an address")
    added = subprocess.run(["ip", "address", "add", f"{ADDRESS}/32", "dev", "lo"], capture_output=True, check=False)
    if added.returncode:
        pytest.skip(f"no address for the loopback interface: {added.stderr.decode().strip()}")
    yield ADDRESS
    subprocess.run(["ip", "address", "del", f"{ADDRESS}/32", "dev", "lo"], check=True)


class WithServices(KubeRayStandIn):
    """Gives each head its Service, as KubeRay does, and an address of its own."""

    def _begin(self, job: dict[str, Any]) -> None:
        super()._begin(job)
        head = self.heads[job["metadata"]["uid"]]
        url = (self.bed.folder / "heads" / f"{self.bed.namespace}.{head.cluster}").read_text()
        self._serve(head.cluster, port=int(url.rpartition(":")[2]))

    def _serve(self, cluster: str, *, port: int) -> None:
        pod, service, base = f"{cluster}-head", f"{cluster}-head-svc", f"/api/v1/namespaces/{self.bed.namespace}"
        status = {"status": {"podIP": self.host, "podIPs": [{"ip": self.host}]}}
        path = PODS.path(self.bed.namespace, pod) + "/status"
        self.client.call_now(Call("PATCH", path, body=status, content_type=MERGE))
        ports = [{"name": PORT_NAME, "port": port, "protocol": "TCP"}]
        body = {"metadata": {"name": service}, "spec": {"clusterIP": "None", "ports": ports}}
        self.client.call_now(Call("POST", f"{base}/services", body=body))
        target = {"kind": "Pod", "namespace": self.bed.namespace, "name": pod}
        addresses = [{"ip": self.host, "targetRef": target}]
        body = {"metadata": {"name": service}, "subsets": [{"addresses": addresses, "ports": ports}]}
        self.client.call_now(Call("POST", f"{base}/endpoints", body=body))


def test_a_sweep_whose_driver_is_reached_through_the_api_server(bed: Bed, address: str) -> None:
    operator = bed.operator(settings={"driver": {"reach": "ApiProxy"}}, program=("-m", "scaling_operator"))
    with running(operator), kuberay(bed, WithServices, host=address, trial_s=0.1, lanes=2) as rays:
        bed.apply(experiment())
        wait_until(lambda: bed.condition("sweep", "ClusterReady")[1] == "DriverAnswers", "the driver answers")
        wait_until(lambda: len(rays.trials_run()) > 4, "trials have run")
        operator.kill()
        operator.start().wait_ready()
        wait_until(lambda: bed.condition("sweep", "Complete")[0] == "True", "it is complete", timeout_s=90)
        assert sorted(rays.trials_run()) == sorted(bed.trials("sweep"))
        assert rays.bed.get("endpoints"), "it went through a Service"
