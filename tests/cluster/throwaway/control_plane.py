"""etcd, kube-apiserver, kube-controller-manager and kube-scheduler."""

from collections.abc import Iterator
from pathlib import Path

from throwaway.components import Components
from throwaway.pki import FRONT_PROXY
from throwaway.ports import free_port
from throwaway.state import NODE_IP, SERVICE_CIDR


def start_control_plane(components: Components, level: str, *, port: int) -> None:
    """Start the control plane and return once it serves; level `api` is etcd and kube-apiserver alone."""
    start_api_server(components, start_etcd(components), port, on_all_addresses=level == "node")
    components.wait_for("kube-apiserver", lambda: components.get("/readyz"))
    if level != "api":
        start_controllers(components)


def start_etcd(components: Components) -> str:
    client, peer = (f"http://127.0.0.1:{free_port()}" for _ in range(2))
    components.start(
        "etcd", "--data-dir", components.state.folder / "etcd",
        "--unsafe-no-fsync",  # nothing in it outlives the cluster
        "--listen-client-urls", client, "--advertise-client-urls", client,
        "--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer, "--initial-cluster", f"default={peer}",
    )  # fmt: skip
    return client


def start_api_server(components: Components, etcd: str, port: int, *, on_all_addresses: bool) -> None:
    pki = components.state.pki
    components.start(
        "kube-apiserver", "--etcd-servers", etcd, "--secure-port", port,
        "--bind-address", "0.0.0.0" if on_all_addresses else "127.0.0.1",
        # For pods. It must not be a loopback address, even where there are no pods.
        "--advertise-address", NODE_IP,
        "--service-cluster-ip-range", SERVICE_CIDR, "--authorization-mode", "Node,RBAC", "--allow-privileged",
        "--client-ca-file", pki / "ca.crt",
        "--tls-cert-file", pki / "server.crt", "--tls-private-key-file", pki / "server.key",
        "--service-account-issuer", "https://kubernetes.default.svc.cluster.local",
        "--service-account-key-file", pki / "service-account.key",
        "--service-account-signing-key-file", pki / "service-account.key",
        "--kubelet-certificate-authority", pki / "ca.crt",
        "--kubelet-client-certificate", pki / "admin.crt", "--kubelet-client-key", pki / "admin.key",
        "--kubelet-preferred-address-types", "InternalIP",
        *aggregation_flags(pki),
    )  # fmt: skip


def aggregation_flags(pki: Path) -> Iterator[object]:
    """Yield what extension API servers need: one that cannot be reached keeps every namespace from being deleted."""
    yield from ("--proxy-client-cert-file", pki / "front-proxy.crt", "--proxy-client-key-file", pki / "front-proxy.key")
    yield from ("--requestheader-client-ca-file", pki / "ca.crt", "--requestheader-allowed-names", FRONT_PROXY)
    yield from ("--requestheader-username-headers", "X-Remote-User", "--requestheader-group-headers", "X-Remote-Group")
    yield from ("--requestheader-extra-headers-prefix", "X-Remote-Extra-")


def start_controllers(components: Components) -> None:
    state = components.state
    # secure-port 0: nobody asks for their own health and metrics.
    shared = ("--kubeconfig", state.kubeconfig, "--leader-elect=false", "--secure-port", 0)
    components.start(
        "kube-controller-manager", *shared, "--root-ca-file", state.pki / "ca.crt",
        "--service-account-private-key-file", state.pki / "service-account.key", "--use-service-account-credentials",
    )  # fmt: skip
    components.start("kube-scheduler", *shared)
    # Without it the API server refuses every pod.
    account = "/api/v1/namespaces/default/serviceaccounts/default"
    components.wait_for("the default service account", lambda: components.get(account))
