"""The fence around an experiment's pods. What a policy does not name, it forbids."""

from collections.abc import Sequence
from typing import Final

from scaling_api.driver_protocol import PORT
from scaling_api.labels import EXPERIMENT, NODE_TYPE
from scaling_operator.desired import head, workers
from scaling_operator.desired.labels import owned
from scaling_operator.desired.manifest import Manifest
from scaling_operator.observed import Identity
from scaling_operator.settings import Network, Reach, Settings

API_SERVER: Final = (443, 6443)
"""By its Service, and where that is translated to."""


def network_policies(identity: Identity, settings: Settings) -> tuple[Manifest, ...]:
    """Return the policies of all pods of the experiment, and of its head; none where they are switched off."""
    if not settings.network.enabled:
        return ()
    pods = {EXPERIMENT: identity.name}
    every = _policy(identity, identity.name, pods, ingress=_to_all(pods, settings), egress=_from_all(pods, settings))
    head_pods = {**pods, NODE_TYPE: "head"}
    first = _policy(
        identity, f"{identity.name}-head", head_pods, ingress=_to_head(settings), egress=_from_head(settings.network)
    )
    return every, first


def _policy(
    identity: Identity, name: str, pods: dict[str, str], *, ingress: list[Manifest], egress: list[Manifest]
) -> Manifest:
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": owned(identity, name),
        "spec": {
            "podSelector": {"matchLabels": pods},
            "policyTypes": ["Ingress", "Egress"],
            "ingress": ingress,
            "egress": egress,
        },
    }


def _to_all(pods: dict[str, str], settings: Settings) -> list[Manifest]:
    among = {"from": [{"podSelector": {"matchLabels": pods}}]}
    return [among, _ingress(settings.network.prometheus, tuple(workers.PORTS.values()))]


def _from_all(pods: dict[str, str], settings: Settings) -> list[Manifest]:
    network = settings.network
    # Port 53 anywhere: a node's own DNS cache has an address outside the cluster's.
    dns = {"ports": [{"protocol": "UDP", "port": 53}, {"protocol": "TCP", "port": 53}]}
    storage = [{"ports": _ports(network.storage_ports)}] if network.storage_ports else []
    return [{"to": [{"podSelector": {"matchLabels": pods}}]}, dns, *storage, *network.egress]


def _to_head(settings: Settings) -> list[Manifest]:
    network = settings.network
    # What comes through the API server comes from its node, which no selector finds: the token keeps others out.
    operator = () if settings.driver.reach is Reach.API_PROXY else network.operator
    return [
        _ingress(network.kuberay, (head.DASHBOARD,)),
        _ingress(operator, (PORT,)),
        _ingress(network.prometheus, (*head.METRICS.values(), PORT)),
    ]


def _from_head(network: Network) -> list[Manifest]:
    api_server = {"ports": _ports(API_SERVER)}
    return [{"to": list(network.api_server), **api_server} if network.api_server else api_server]


def _ingress(peers: Sequence[Manifest], ports: Sequence[int]) -> Manifest:
    return {"from": list(peers), "ports": _ports(ports)} if peers else {"ports": _ports(ports)}


def _ports(numbers: Sequence[int]) -> list[Manifest]:
    return [{"protocol": "TCP", "port": number} for number in numbers]
