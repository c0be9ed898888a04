"""Programs are built once for each state of their sources, completely or not at all."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from throwaway import build, programs
from throwaway.build import built, folder_of
from throwaway.cluster import cluster_of
from throwaway.errors import ClusterError, UnavailableError
from throwaway.programs import Build, Module, modules_of

# Stands in for go: says when it begins, takes a while, and writes the program.
GO = """#!/bin/sh
echo "$@" >> "$LOG"
[ -z "$GO_SAYS" ] || { echo "$GO_SAYS" >&2; exit 1; }
while [ "$1" != -o ]; do shift; done
sleep 0.3
echo built > "$2"
"""


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Module:
    """A module with one program, an empty cache, and the stand-in for go."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    monkeypatch.setenv("LOG", str(tmp_path / "log"))
    monkeypatch.setattr(programs, "MODULES", tmp_path / "modules")
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/go").write_text(GO)
    (tmp_path / "bin/go").chmod(0o755)
    (tmp_path / "modules/tool").mkdir(parents=True)
    (tmp_path / "modules/tool/go.mod").write_text("module tool\n")
    return Module("tool", (Build("tool", (".",)),), links=("alias",))


def calls(tmp_path: Path) -> int:
    return len((tmp_path / "log").read_text().splitlines()) if (tmp_path / "log").exists() else 0


def test_a_program_is_built_once(module: Module, tmp_path: Path) -> None:
    first, again = built([module]), built([module])
    assert first == again == (folder_of(module),)
    assert calls(tmp_path) == 1
    assert (first[0] / "alias").read_text() == "built\n"


def test_another_version_is_another_folder(module: Module, tmp_path: Path) -> None:
    (old,) = built([module])
    (module.folder / "go.mod").write_text("module tool\nrequire other v1.2.3\n")
    (new,) = built([module])
    assert old != new
    assert calls(tmp_path) == 2
    assert (old / "tool").exists()


def test_other_options_are_another_folder(module: Module) -> None:
    assert folder_of(module) != folder_of(Module("tool", (Build("tool", ("-tags", "more", ".")),)))


def test_a_failed_build_leaves_nothing_and_says_why(module: Module, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GO_SAYS", "main.go:3: undefined: x")
    with pytest.raises(ClusterError, match="undefined: x"):
        built([module])
    assert not [path for path in build.cache().iterdir() if path.suffix != ".lock"]
    monkeypatch.delenv("GO_SAYS")
    assert built([module])


def test_without_a_network_the_reason_is_named(module: Module, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GO_SAYS", 'go: Get "https://proxy.test/@v/v1.zip": dial tcp: lookup proxy.test: no such host')
    with pytest.raises(UnavailableError, match="no such host"):
        built([module])


def test_an_abandoned_build_is_removed_by_the_next(module: Module) -> None:
    abandoned = build.cache() / f".{folder_of(module).name}-killed"
    abandoned.mkdir(parents=True)
    built([module])
    assert not abandoned.exists()


def test_processes_that_want_the_same_build_it_once(module: Module, tmp_path: Path) -> None:
    code = f"""
from pathlib import Path
from throwaway import programs
from throwaway.build import built
programs.MODULES = Path({str(tmp_path / "modules")!r})
print(*built([programs.Module("tool", (programs.Build("tool", (".",)),), links=("alias",))]))
"""
    env = {**os.environ, "PYTHONPATH": str(Path(build.__file__).parents[1])}
    several = [subprocess.Popen([sys.executable, "-c", code], env=env, stdout=subprocess.PIPE) for _ in range(4)]
    answers = {process.communicate(timeout=30)[0] for process in several}
    assert answers == {f"{folder_of(module)}\n".encode()}
    assert calls(tmp_path) == 1


def test_without_go_the_ways_out_are_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr("shutil.which", lambda name: None if name == "go" else f"/bin/{name}")
    with pytest.raises(UnavailableError, match=r"Go is not installed.*KUBEBUILDER_ASSETS.*KUBECONFIG"):
        built(modules_of("api"))


def test_the_headers_that_runc_needs_are_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr("shutil.which", lambda name: f"/bin/{name}")
    monkeypatch.setattr(build, "has_library", lambda name: False)
    with pytest.raises(UnavailableError, match="apt-get install libseccomp-dev"):
        built(modules_of("node"))


def test_a_node_needs_root(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("shutil.which", lambda name: f"/bin/{name}")
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    with pytest.raises(UnavailableError, match="a node needs root"):
        cluster_of("node", folder=tmp_path)


def test_a_node_is_not_kept_where_it_would_cover_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda name: f"/bin/{name}")
    monkeypatch.setattr("os.geteuid", lambda: 0)
    with pytest.raises(UnavailableError, match="CLUSTER_STATE"):
        cluster_of("node", folder=Path("/var/tmp/cluster"))


def test_assets_take_the_place_of_built_programs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("KUBEBUILDER_ASSETS", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "empty"))
    with pytest.raises(UnavailableError, match="there is no etcd, kube-apiserver, kubectl in it"):
        cluster_of("api", folder=tmp_path / "cluster")
    for name in ("etcd", "kube-apiserver", "kubectl"):
        (tmp_path / name).touch()
    assert cluster_of("api", folder=tmp_path / "cluster").programs == (tmp_path,)
