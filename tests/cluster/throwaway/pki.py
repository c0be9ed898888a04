"""One CA, its certificates, one service account key; and the kubeconfig."""

from pathlib import Path
from typing import Final

from throwaway.processes import run
from throwaway.state import API_SERVICE_IP, NODE_IP, NODE_NAME, State, write_json

FRONT_PROXY: Final = "front-proxy"
OPENSSL: Final = f"""\
[req]
distinguished_name = dn
[dn]
[ca]
basicConstraints = critical, CA:true
keyUsage = critical, keyCertSign, cRLSign
subjectKeyIdentifier = hash
[leaf]
basicConstraints = critical, CA:false
keyUsage = critical, digitalSignature
extendedKeyUsage = serverAuth, clientAuth
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
subjectAltName = IP:127.0.0.1, IP:{NODE_IP}, IP:{API_SERVICE_IP}, DNS:localhost, DNS:{NODE_NAME}, \
DNS:kubernetes, DNS:kubernetes.default, DNS:kubernetes.default.svc, DNS:kubernetes.default.svc.cluster.local
"""


def make_pki(pki: Path) -> None:
    """Write the keys and certificates."""
    (pki / "openssl.cnf").write_text(OPENSSL)
    signed = ("-extensions", "leaf", "-CA", str(pki / "ca.crt"), "-CAkey", str(pki / "ca.key"))
    certificate(pki, "ca", "/CN=throwaway-ca", "-extensions", "ca")
    certificate(pki, "server", f"/CN={NODE_NAME}", *signed)
    # system:masters passes every authorization check. All components use it: what runs on the cluster is tested.
    certificate(pki, "admin", "/O=system:masters/CN=admin", *signed)
    # By which the API server tells an extension server, such as Kueue's, for whom it asks.
    certificate(pki, "front-proxy", f"/CN={FRONT_PROXY}", *signed)
    run("openssl", "genrsa", "-out", pki / "service-account.key", "2048")


def certificate(pki: Path, name: str, subject: str, *more: str) -> None:
    key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", pki / f"{name}.key")
    run(
        "openssl", "req", "-x509", "-config", pki / "openssl.cnf", "-days", "365", "-subj", subject,
        *key, "-out", pki / f"{name}.crt", *more,
    )  # fmt: skip


def write_kubeconfig(state: State, port: int) -> None:
    """Write the administrator's kubeconfig; the same address serves inside the node's namespaces and outside."""
    # Paths, not the content: clients in Python would write that, the key too, to files of their own below /tmp.
    pki = state.pki.resolve()
    cluster = {"server": f"https://127.0.0.1:{port}", "certificate-authority": str(pki / "ca.crt")}
    user = {"client-certificate": str(pki / "admin.crt"), "client-key": str(pki / "admin.key")}
    state.kubeconfig.touch(mode=0o600)
    write_json(
        state.kubeconfig,
        {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "throwaway",
            "clusters": [{"name": "throwaway", "cluster": cluster}],
            "users": [{"name": "admin", "user": user}],
            "contexts": [{"name": "throwaway", "context": {"cluster": "throwaway", "user": "admin"}}],
        },
    )
