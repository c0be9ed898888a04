"""Which cluster tests use: never one elsewhere that KUBECONFIG happens to name."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from throwaway import api_server
from throwaway.errors import UnavailableError
from throwaway.ports import free_port

# Answers what kubectl would of a kubeconfig, and refuses everything else: no server is there.
KUBECTL = """#!/bin/sh
[ "$1" = config ] || exit 1
sed -n 's/.*"server": "\\([^"]*\\)".*/\\1/p' "$KUBECONFIG"
"""
Names = Callable[[str], None]


@pytest.fixture
def names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Names:
    """Let KUBECONFIG name a server."""

    def name(server: str) -> None:
        (tmp_path / "kubectl").write_text(KUBECTL)
        (tmp_path / "kubectl").chmod(0o755)
        (tmp_path / "config").write_text(json.dumps({"clusters": [{"cluster": {"server": server}}]}))
        monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
        monkeypatch.setenv("KUBECONFIG", str(tmp_path / "config"))
        monkeypatch.delenv(api_server.CONSENT, raising=False)

    return name


def test_without_kubeconfig_none_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KUBECONFIG", raising=False)
    assert api_server.given() is None


@pytest.mark.parametrize("server", ["https://gke.example:443", "https://10.0.0.1:6443", "https://127.0.0.1.example"])
def test_a_cluster_elsewhere_is_not_touched(names: Names, server: str) -> None:
    names(server)
    assert api_server.given() is None


def test_a_cluster_elsewhere_is_used_where_one_says_so(names: Names, monkeypatch: pytest.MonkeyPatch) -> None:
    names("https://gke.example:443")
    monkeypatch.setenv(api_server.CONSENT, "1")
    with pytest.raises(UnavailableError, match=r"https://gke\.example:443 of KUBECONFIG is not ready"):
        api_server.given()


def test_a_dead_server_on_loopback_is_named(names: Names) -> None:
    port = free_port()
    names(f"https://127.0.0.1:{port}")
    with pytest.raises(UnavailableError, match=f"https://127.0.0.1:{port} of KUBECONFIG is not ready"):
        api_server.given()
