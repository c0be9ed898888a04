"""Which programs a cluster is made of, and how each is built from a Go module below modules/."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

MODULES: Final = Path(__file__).parents[1] / "modules"
STRIP: Final = ("-ldflags", "-s -w")
LEVELS: Final = ("api", "control", "node")
"""etcd and kube-apiserver; with kube-controller-manager and kube-scheduler; with a node that runs pods."""


@dataclass(frozen=True)
class Build:
    """One run of `go build`."""

    output: str
    """Name of the program; empty where several packages are named after themselves."""
    arguments: tuple[str, ...]
    """Flags and packages."""
    needs_c: bool = False
    """With cgo, and so a C compiler and headers."""


@dataclass(frozen=True)
class Module:
    """A folder with a go.mod, and what is made of it."""

    name: str
    builds: tuple[Build, ...]
    links: tuple[str, ...] = ()
    """Names under which the first program is called as well."""
    manifests: str = ""
    """Path of the Go module whose config/ folder (CRDs, kustomizations) is kept beside the program."""

    @property
    def folder(self) -> Path:
        """Where its go.mod is."""
        return MODULES / self.name


def kubernetes_version() -> str:
    """Return the pinned version, such as v1.37.2."""
    found = re.search(r"^\s*k8s\.io/kubernetes (v\S+)", (MODULES / "kube/go.mod").read_text(), re.MULTILINE)
    assert found, "modules/kube/go.mod requires k8s.io/kubernetes"
    return found[1]


def kubernetes_flags() -> tuple[str, str]:
    """Return linker flags that say the version: without them clients are told v0.0.0-master and misbehave."""
    version = kubernetes_version()
    major, minor, _ = version.removeprefix("v").split(".", 2)
    package = "k8s.io/component-base/version"
    values = {"gitVersion": version, "gitMajor": major, "gitMinor": minor}
    return "-ldflags", " ".join(["-s -w", *(f"-X {package}.{name}={value}" for name, value in values.items())])


def one(name: str, package: str = ".", *, output: str | None = None, manifests: str = "") -> Module:
    """Return a module of one program."""
    return Module(name, (Build(name if output is None else output, (*STRIP, package)),), manifests=manifests)


CONTAINERD: Final = "github.com/containerd/containerd/v2/cmd/"
CNI: Final = "github.com/containernetworking/plugins/plugins/"
KUBE_PROGRAMS: Final = (
    "kube-apiserver",
    "kube-controller-manager",
    "kube-scheduler",
    "kube-proxy",
    "kubelet",
    "kubectl",
)
RUNTIME: Final = (
    *(CONTAINERD + name for name in ("containerd", "containerd-shim-runc-v2", "ctr")),
    CNI + "main/ptp",
    CNI + "ipam/host-local",
)

ALL: Final = {
    module.name: module
    for module in (
        Module("kube", (Build("kube", (*kubernetes_flags(), ".")),), links=KUBE_PROGRAMS),
        one("etcd", "go.etcd.io/etcd/server/v3"),
        Module(
            "runtime",
            (
                Build("", (*STRIP, *RUNTIME)),
                # Pods ask for the default seccomp profile, and a runc without the tag refuses them.
                Build("runc", ("-tags", "seccomp", *STRIP, "github.com/opencontainers/runc"), needs_c=True),
            ),
        ),
        one("coredns"),
        one("pause"),
        one("kwok", "sigs.k8s.io/kwok/cmd/kwok"),
        one("helm", "helm.sh/helm/v3/cmd/helm"),
        one("kubeconform", "github.com/yannh/kubeconform/cmd/kubeconform"),
        one("s3", "github.com/versity/versitygw/cmd/versitygw", output="versitygw"),
        one("kueue", "sigs.k8s.io/kueue/cmd/kueue", manifests="sigs.k8s.io/kueue"),
        one(
            "kuberay",
            "github.com/ray-project/kuberay/ray-operator",
            output="kuberay-operator",
            manifests="github.com/ray-project/kuberay/ray-operator",
        ),
    )
}
CONTROL_PLANE: Final = ("etcd", "kube")
OF_LEVEL: Final = {
    "api": CONTROL_PLANE,
    "control": CONTROL_PLANE,
    "node": (*CONTROL_PLANE, "runtime", "coredns", "pause"),
}
"""Names of the modules that a level needs."""


def modules_of(level: str, extra: tuple[str, ...] = ()) -> tuple[Module, ...]:
    """Return the modules of a level, and those of `extra`."""
    return tuple(ALL[name] for name in dict.fromkeys((*OF_LEVEL[level], *extra)))
