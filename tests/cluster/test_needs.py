"""What a machine lacks for a node is said before anything is begun, in one line that names it."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from throwaway import cgroups, needs
from throwaway.errors import ClusterError
from throwaway.needs import missing_packages, reasons, why_no_pods, why_not

V2 = "cgroup.controllers"
is_root = pytest.mark.skipif(os.geteuid() != 0, reason="root alone may try what a node does first")


@pytest.fixture
def version_2(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The root of a hierarchy that looks as cgroup v2's does."""
    root = tmp_path / "cgroup"
    root.mkdir()
    (root / V2).write_text("cpuset cpu io memory hugetlb pids rdma misc\n")
    (root / "cgroup.subtree_control").write_text("")
    monkeypatch.setattr(cgroups, "ROOT", root)
    return root


@pytest.fixture
def bare_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine on which almost nothing is installed, and nothing built."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for program in ("openssl", "setpriv", "unshare", "mount", "ip"):
        (folder / program).symlink_to("/bin/true")
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return folder


def test_packages_that_are_missing_are_named_once(bare_path: Path) -> None:
    expected = ("util-linux", "nftables", "tar", "gcc", "libc6-dev", "pkg-config", "libseccomp-dev", "debootstrap")
    assert missing_packages() == expected


def test_a_missing_program_is_named_with_its_package(
    bare_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert why_not("node", tmp_path) == "nsenter is not installed: apt-get install util-linux"
    assert why_not("control", tmp_path) == ""
    (bare_path / "openssl").unlink()
    assert why_not("control", tmp_path) == "openssl is not installed: apt-get install openssl"


def test_a_node_needs_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert why_no_pods(tmp_path).startswith("a node needs root")


def test_controllers_that_the_machine_keeps_to_itself_are_named(
    version_2: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(needs, "what_fails", lambda folder: iter(()))
    monkeypatch.setattr(shutil, "which", str)
    assert why_not("node", tmp_path) == ""
    (version_2 / V2).write_text("cpu memory\n")
    said = f"a node needs control groups with cpuset, pids, which {version_2} does not have"
    assert why_not("node", tmp_path) == said


def test_on_version_2_the_clusters_group_gets_what_the_kubelet_wants(version_2: Path) -> None:
    cgroups.make("1-2")
    handed = set((version_2 / "cgroup.subtree_control").read_text().split())
    assert handed == {"+cpu", "+cpuset", "+memory", "+pids", "+hugetlb"}
    assert (version_2 / f"{cgroups.PREFIX}1-2").is_dir()
    cgroups.remove("1-2")
    assert not list(version_2.glob(f"{cgroups.PREFIX}*"))


def test_on_version_2_a_root_that_hands_nothing_down_is_an_error(version_2: Path) -> None:
    (version_2 / "cgroup.subtree_control").unlink()
    (version_2 / "cgroup.subtree_control").mkdir()  # what is written to it is refused
    with pytest.raises(ClusterError, match=r"do not get .cpu .*cgroup.subtree_control"):
        cgroups.make("1-2")


@is_root
@pytest.mark.parametrize("name", needs.STEPS)
def test_what_root_may_not_do_here_is_named_and_nothing_of_it_stays(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if left := list(reasons("node", tmp_path)):
        pytest.skip(left[0])
    monkeypatch.setitem(needs.STEPS, name, "echo 'Operation not permitted' >&2; false")
    assert why_not("node", tmp_path) == f"a node cannot be had here: root may not {name} (Operation not permitted)"
    assert str(tmp_path) not in Path("/proc/self/mounts").read_text()
    assert not {"node", "nowhere"} & {path.name for path in Path("/sys/class/net").iterdir()}
    assert "scaling" not in subprocess.run(["nft", "list", "tables"], capture_output=True, text=True, check=True).stdout
    assert not list(tmp_path.iterdir())
