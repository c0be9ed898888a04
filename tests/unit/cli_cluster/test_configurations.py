import json
import os
from pathlib import Path
from typing import Any

import pytest

from scaling_cli.cluster.configuration import access
from scaling_cli.cluster.options import ClusterOptions
from scaling_cli.errors import CommandError


@pytest.fixture(autouse=True)
def _no_cluster_of_this_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("KUBECONFIG", "KUBERNETES_SERVICE_HOST"):
        monkeypatch.delenv(name, raising=False)


def kubeconfig(path: Path, *contexts: str, current: str | None = None, **user: Any) -> Path:
    config = {
        "apiVersion": "v1", "kind": "Config", **({"current-context": current} if current else {}),
        "clusters": [{"name": "c", "cluster": {"server": "https://127.0.0.1:1"}}],
        "users": [{"name": "u", "user": user or {"token": "t"}}],
        "contexts": [
            {"name": name, "context": {"cluster": "c", "user": "u", "namespace": f"ns-{name}"}} for name in contexts
        ],
    }  # fmt: skip
    path.write_text(json.dumps(config))
    return path


def test_the_context_and_its_namespace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBECONFIG", str(kubeconfig(tmp_path / "k", "a", "b", current="a")))
    assert access(ClusterOptions()).namespace == "ns-a"
    assert access(ClusterOptions(context="b")).namespace == "ns-b"
    assert access(ClusterOptions(context="b", namespace="mine")).namespace == "mine"


def test_the_first_file_decides_as_for_kubectl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = kubeconfig(tmp_path / "1", "a", current="a"), kubeconfig(tmp_path / "2", "b", current="b")
    monkeypatch.setenv("KUBECONFIG", os.pathsep.join([str(tmp_path / "none"), str(first), str(second)]))
    assert access(ClusterOptions()).context == "a"
    assert access(ClusterOptions(context="b")).context == "b"


def test_the_file_of_the_home_folder(tmp_path: Path) -> None:
    (tmp_path / ".kube").mkdir()
    kubeconfig(tmp_path / ".kube/config", "home", current="home")
    assert access(ClusterOptions()).context == "home"


def refused(options: ClusterOptions) -> str:
    with pytest.raises(CommandError) as found:
        access(options)
    return str(found.value)


def test_no_configuration_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    assert refused(ClusterOptions()).startswith("There is no cluster configuration: there is no ~/.kube/config")
    monkeypatch.setenv("KUBECONFIG", "/nowhere")
    assert "KUBECONFIG names /nowhere, which does not exist" in refused(ClusterOptions())
    assert refused(ClusterOptions(kubeconfig=Path("/none"))) == "/none: there is no such kubeconfig file."


def test_a_context_that_there_is_not(tmp_path: Path) -> None:
    file = kubeconfig(tmp_path / "k", "production", "staging")
    assert "no context is set" in refused(ClusterOptions(kubeconfig=file))
    assert "did you mean staging?" in refused(ClusterOptions(kubeconfig=file, context="stagin"))
    assert "there are: production, staging." in refused(ClusterOptions(kubeconfig=file, context="x"))


@pytest.mark.parametrize("text", ["{", "just words", "- a\n- b", "\x00"])
def test_a_file_that_is_no_kubeconfig(text: str, tmp_path: Path) -> None:
    (tmp_path / "k").write_text(text)
    assert "kubeconfig" in refused(ClusterOptions(kubeconfig=tmp_path / "k"))


def test_parts_that_are_missing(tmp_path: Path) -> None:
    (tmp_path / "k").write_text(json.dumps({"current-context": "a", "contexts": [{"name": "a", "context": {}}]}))
    assert "the context a cannot be used" in refused(ClusterOptions(kubeconfig=tmp_path / "k"))
    file = kubeconfig(tmp_path / "k2", "a", current="a", **{"client-certificate": "/none.pem", "client-key": "/none"})
    assert "File does not exist: /none.pem" in refused(ClusterOptions(kubeconfig=file))


def test_a_login_program_that_fails_is_named_and_nothing_else_is_printed(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    program = {"apiVersion": "client.authentication.k8s.io/v1", "command": "false", "interactiveMode": "Never"}
    file = kubeconfig(tmp_path / "k", "a", current="a", exec=program)
    assert "The login program of the context a gave no credentials" in refused(ClusterOptions(kubeconfig=file))
    assert capfd.readouterr().err == ""


def test_a_pod_uses_its_own_account(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    account = tmp_path / "account"
    account.mkdir()
    for name, text in (("token", "t"), ("ca.crt", "c"), ("namespace", "team\n")):
        (account / name).write_text(text)
    monkeypatch.setattr("scaling_cli.cluster.configuration._ACCOUNT", account)
    monkeypatch.setattr("kubernetes.config.incluster_config.SERVICE_TOKEN_FILENAME", str(account / "token"))
    monkeypatch.setattr("kubernetes.config.incluster_config.SERVICE_CERT_FILENAME", str(account / "ca.crt"))
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", "443")
    found = access(ClusterOptions())
    assert (found.configuration.host, found.namespace) == ("https://10.0.0.1:443", "team")


def test_without_the_client_the_command_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "kubernetes.client", None)
    assert "pip install 'scaling-operator[operator]'" in refused(ClusterOptions())
