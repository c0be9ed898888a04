"""The images themselves, in place of the machine's virtualenv.

    tests/cluster/images/build.sh FOLDER
    SCALING_IMAGES=FOLDER pytest tests/e2e/test_images_on_a_node.py

Without the trainer's archive in the folder, which is gigabytes, the Ray pods go on with the virtualenv.
"""

import os
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from experiments import Experiment
from installation import NAMESPACE, REPOSITORY, Site, Values
from ruamel.yaml import YAML

IMAGES = "SCALING_IMAGES"
VERSION = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]["version"]


@pytest.fixture(scope="module")
def images(site: Site) -> Iterator[Site]:
    """The operator, and the trainer where it was built, installed from their images."""
    folder = os.environ.get(IMAGES)
    if not folder or site.cluster is None:
        pytest.skip(f"{IMAGES} names no folder with images for a node of this machine")
    archives = {archive.stem: archive for archive in Path(folder).glob("scaling-*.tar")}
    for archive in archives.values():
        site.cluster.load(archive)
    installed = Site(
        site.server, values_of(site, has_trainer="scaling-trainer" in archives), site.results, site.cluster
    )
    installed.install()
    yield installed
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


def test_the_images_bring_an_experiment_to_its_coefficients(
    images: Site, run: Callable[[dict[str, Any]], Experiment]
) -> None:
    experiment = run(YAML(typ="safe", pure=True).load(Path(__file__).with_name("small.yaml")))
    experiment.wait_for("Complete", timeout_s=300)
    assert len(experiment.losses()) == 18
    assert experiment.coefficients()["linear"].keys() >= {"log(N)", "log(D)"}


def test_the_operators_image_writes_nowhere_and_is_nobody(images: Site) -> None:
    inside = ("-n", NAMESPACE, "exec", "deployment/scaling-operator", "--")
    assert images.server.must(*inside, "id", "-u").strip() == "10001"
    assert images.server.kubectl(*inside, "touch", "/opt/scaling/file").returncode != 0
    looked = "import importlib.util as u; print([u.find_spec(name) for name in ('torch', 'ray', 'pip')])"
    assert images.server.must(*inside, "python", "-c", looked).strip() == "[None, None, None]"
