"""The images themselves, in place of the machine's virtualenv: the quickstart as a user runs it.

    tests/cluster/images/build.sh FOLDER
    SCALING_IMAGES=FOLDER pytest tests/e2e/test_images_on_a_node.py

Without the trainer's archive in the folder, which is gigabytes, the Ray pods go on with the virtualenv.
"""

import os
import time
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from experiments import Experiment
from installation import NAMESPACE, REPOSITORY, Site, Values
from local_run import assert_same, run_here
from ruamel.yaml import YAML

IMAGES = "SCALING_IMAGES"
VERSION = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]["version"]
QUICKSTART = REPOSITORY / "examples/quickstart.yaml"
WHO = "import os, sys; print(os.getuid(), sys.flags.safe_path, sys.prefix)"


@dataclass(frozen=True)
class Installed:
    """The operator, and the trainer where it was built, installed from their images."""

    site: Site
    has_trainer: bool
    loaded_s: dict[str, float]
    """How long the node took to import and unpack each archive."""


@pytest.fixture(scope="module")
def images(site: Site) -> Iterator[Installed]:
    folder = os.environ.get(IMAGES)
    if not folder or site.cluster is None:
        pytest.skip(f"{IMAGES} names no folder with images for a node of this machine")
    loaded_s = {}
    for archive in sorted(Path(folder).glob("scaling-*.tar")):
        began = time.monotonic()
        site.cluster.load(archive)
        loaded_s[archive.stem] = time.monotonic() - began
    os.sync()  # gigabytes that go to the disk in the middle of a start would be timed with it
    has_trainer = "scaling-trainer" in loaded_s
    installed = replace(site, values=values_of(site, has_trainer=has_trainer))
    installed.install()
    yield Installed(installed, has_trainer, loaded_s)
    site.install()


def values_of(site: Site, *, has_trainer: bool) -> Values:
    operator = {"repository": "localhost/scaling-operator", "tag": VERSION, "pullPolicy": "Never"}
    mounted = {"command", "volumes", "volumeMounts", "env"}
    settings = dict(site.values["settings"])
    if has_trainer:
        settings.pop("pods")
        settings["trainer"] = {"image": f"localhost/scaling-trainer:{VERSION}", "pullPolicy": "Never"}
    return {
        **{name: value for name, value in site.values.items() if name not in mounted},
        "image": operator,
        "settings": settings,
    }


def test_the_quickstart_comes_to_what_it_comes_to_on_this_machine(
    images: Installed,
    run: Callable[[dict[str, Any]], Experiment],
    tmp_path: Path,
    say: Callable[[str], None],
) -> None:
    here = run_here(QUICKSTART, tmp_path / "results")
    began = time.monotonic()
    experiment = run(YAML(typ="safe", pure=True).load(QUICKSTART))
    experiment.wait_until(lambda it: it.finished() > 0, "a finished trial", timeout_s=600)
    first_s = time.monotonic() - began
    if images.has_trainer:
        assert_pods_are_the_image(experiment)
    experiment.wait_for("Complete", timeout_s=3000)
    all_s = time.monotonic() - began
    assert_same(experiment, here)
    loaded = ", ".join(f"{name} loaded in {seconds:.0f} s" for name, seconds in images.loaded_s.items())
    say(f"{loaded}; on the node a trial after {first_s:.0f} s, all after {all_s:.0f} s; here {here.seconds:.0f} s")


def assert_pods_are_the_image(experiment: Experiment) -> None:
    """Nothing of the machine is in the Ray pods, and they can write nowhere but to their volumes."""
    containers = [("head", "ray-head"), ("head", "autoscaler"), ("worker", "ray-worker")]
    for node_type, container in containers:
        pod = experiment.pods(node_type)[0]
        claims = "{.spec.volumes[*].persistentVolumeClaim.claimName}"
        assert experiment.must("get", "pod", pod, "-o", f"jsonpath={claims}") == "scaling-results"
        inside = ("exec", pod, "-c", container, "--")
        assert experiment.must(*inside, "python", "-c", WHO).split() == ["10001", "True", "/opt/scaling"]
        refused = experiment.kubectl(*inside, "touch", "/opt/scaling/file")
        assert "Read-only file system" in refused.stderr


def test_the_operators_image_writes_nowhere_and_is_nobody(images: Installed) -> None:
    server, inside = images.site.server, ("-n", NAMESPACE, "exec", "deployment/scaling-operator", "--")
    assert server.must(*inside, "python", "-c", WHO).split() == ["10001", "True", "/opt/scaling"]
    assert "Read-only file system" in server.kubectl(*inside, "touch", "/opt/scaling/file").stderr
    looked = "import importlib.util as u; print([u.find_spec(name) for name in ('torch', 'ray', 'pip')])"
    assert server.must(*inside, "python", "-c", looked).strip() == "[None, None, None]"
