"""The level `node`: containerd, kubelet, kube-proxy and CoreDNS, in mount and network namespaces of their own."""

import shutil
from pathlib import Path
from typing import Final

from throwaway import cgroups
from throwaway.components import Components
from throwaway.errors import ClusterError
from throwaway.images import Image, pack
from throwaway.processes import run
from throwaway.state import NODE_IP, NODE_NAME, POD_CIDR, State, write_json

PAUSE_IMAGE: Final = "localhost/pause:1"
CONTAINERD_SOCKET: Final = Path("/run/containerd/containerd.sock")
# Settings that the kubelet writes where it finds another value. They are the whole machine's, so it is shown the
# values that it wants instead.
KUBELET_SYSCTLS: Final = {
    "vm/overcommit_memory": 1,
    "vm/panic_on_oom": 0,
    "kernel/panic": 10,
    "kernel/panic_on_oops": 1,
    "kernel/keys/root_maxkeys": 1000000,
    "kernel/keys/root_maxbytes": 25000000,
}


def separate_file_system(state: State) -> None:
    """Let the node write to the usual places without the machine noticing."""
    run("mount", "--make-rshared", "/")  # the kubelet's wish; it stays inside this mount namespace
    for name in ("upper", "work"):
        (state.folder / "var" / name).mkdir(parents=True)
    run("mount", "-t", "tmpfs", "tmpfs", "/run")
    layers = f"lowerdir=/var,upperdir={state.folder}/var/upper,workdir={state.folder}/var/work"
    run("mount", "-t", "overlay", "overlay", "/var", "-o", layers)
    for name, value in KUBELET_SYSCTLS.items():
        show_instead(state, f"/proc/sys/{name}", f"{value}\n")
    show_instead(state, "/etc/resolv.conf", f"nameserver {NODE_IP}\nsearch svc.cluster.local cluster.local\n")


def show_instead(state: State, path: str, content: str) -> None:
    wanted = state.config / path.strip("/").replace("/", ".")
    wanted.write_text(content)
    run("mount", "--bind", wanted, path)


def separate_network() -> None:
    """Give the node an address on a link that leads nowhere."""
    run("ip", "link", "set", "lo", "up")
    run("ip", "link", "add", "node", "type", "veth", "peer", "name", "nowhere")
    for link in ("node", "nowhere"):
        run("ip", "link", "set", link, "up")
    run("ip", "address", "add", f"{NODE_IP}/32", "dev", "node")
    # kube-proxy rewrites a Service's address after the route is chosen, so there must be one.
    run("ip", "route", "add", "default", "dev", "node", "src", NODE_IP)
    Path("/proc/sys/net/ipv4/ip_forward").write_text("1")


def start_containerd(components: Components) -> None:
    """Start containerd without waiting for it."""
    config, network = components.state.config / "containerd.toml", components.state.config / "cni"
    network.mkdir()
    addresses = {"type": "host-local", "subnet": POD_CIDR, "routes": [{"dst": "0.0.0.0/0"}]}
    # ptp, not bridge: every packet is routed, so kube-proxy's rules see it without br_netfilter.
    plugin = {"type": "ptp", "ipam": addresses}
    write_json(network / "10-pods.conflist", {"cniVersion": "1.0.0", "name": "pods", "plugins": [plugin]})
    config.write_text(containerd_config(components.state, network))
    components.start("containerd", "--config", config)


def containerd_config(state: State, network: Path) -> str:
    return f"""\
version = 3
root = "{state.folder}/containerd"
state = "/run/containerd"
[plugins."io.containerd.cri.v1.images".pinned_images]
sandbox = "{PAUSE_IMAGE}"
[plugins."io.containerd.cri.v1.runtime"]
# Root in a sandbox may lack the right to lower a process's OOM score.
restrict_oom_score_adj = true
[plugins."io.containerd.cri.v1.runtime".cni]
bin_dirs = ["{program("ptp").parent}"]
conf_dir = "{network}"
use_internal_loopback = true
[plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"
[plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc.options]
BinaryName = "{program("runc")}"
SystemdCgroup = false
"""


def program(name: str) -> Path:
    found = shutil.which(name)
    if not found:
        raise ClusterError(f"{name} is not among the built programs")
    return Path(found)


def start_node(components: Components, keeper: str) -> None:
    """Start what makes this a node, and return once it is Ready."""
    components.wait_for("containerd", CONTAINERD_SOCKET.exists)
    load_pause_image(components)
    cgroups.make(keeper)
    start_kubelet(components, keeper)
    start_proxy(components)
    start_dns(components)
    components.wait_for("the node", lambda: node_is_ready(components))


def load_pause_image(components: Components) -> None:
    state = components.state
    root, archive = state.folder / "pause", state.folder / "pause.tar"
    root.mkdir()
    shutil.copy2(program("pause"), root / "pause")
    pack(root, archive, image=Image(PAUSE_IMAGE, entrypoint=("/pause",)))

    def is_loaded() -> bool:
        try:
            run("ctr", "-n", "k8s.io", "images", "import", "--local", archive)
        except ClusterError:  # the socket is there a little before its server
            return False
        return True

    components.wait_for("the pause image", is_loaded)


def start_kubelet(components: Components, keeper: str) -> None:
    state = components.state
    config = {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "containerRuntimeEndpoint": f"unix://{CONTAINERD_SOCKET}",
        "failCgroupV1": False,
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": f"/{cgroups.PREFIX}{keeper}",
        "authentication": {"x509": {"clientCAFile": str(state.pki / "ca.crt")}},
        "tlsCertFile": str(state.pki / "server.crt"),
        "tlsPrivateKeyFile": str(state.pki / "server.key"),
        "clusterDNS": [NODE_IP],
        "clusterDomain": "cluster.local",
        "resolvConf": "/dev/null",
        "makeIPTablesUtilChains": False,
        "failSwapOn": False,
        # A full disk of the machine must neither evict pods nor remove images: there is no registry.
        "evictionHard": {"memory.available": "100Mi", "nodefs.available": "0%", "imagefs.available": "0%"},
        "imageGCHighThresholdPercent": 100,
    }
    path = write_json(state.config / "kubelet.json", config)
    components.start(
        "kubelet", "--config", path, "--kubeconfig", state.kubeconfig,
        "--hostname-override", NODE_NAME, "--node-ip", NODE_IP,
    )  # fmt: skip


def start_proxy(components: Components) -> None:
    config = {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "mode": "nftables",
        "clientConnection": {"kubeconfig": str(components.state.kubeconfig)},
        "clusterCIDR": POD_CIDR,
        "hostnameOverride": NODE_NAME,
        # The default, 1 s, is how long a Service may refuse after its first pod is ready.
        "nftables": {"minSyncPeriod": "50ms"},
        # 0: leave the machine's limits alone; a network namespace may not set them.
        "conntrack": {"maxPerCore": 0, "min": 0, "tcpEstablishedTimeout": "0s", "tcpCloseWaitTimeout": "0s"},
    }
    components.start("kube-proxy", "--config", write_json(components.state.config / "kube-proxy.json", config))


def start_dns(components: Components) -> None:
    corefile = components.state.config / "Corefile"
    corefile.write_text(f"""\
.:53 {{
    bind {NODE_IP}
    errors
    kubernetes cluster.local in-addr.arpa {{
        kubeconfig {components.state.kubeconfig}
        ttl 1
    }}
}}
""")
    components.start("coredns", "-conf", corefile)


def node_is_ready(components: Components) -> bool:
    node = components.get(f"/api/v1/nodes/{NODE_NAME}") or {}
    conditions = node.get("status", {}).get("conditions", [])
    return any(condition["type"] == "Ready" and condition["status"] == "True" for condition in conditions)
