"""What the images are made of: the Dockerfile, and locks that follow the constraints."""

import re
import sys
import tomllib

import pytest
from chart_paths import REPOSITORY

sys.path.insert(0, str(REPOSITORY / "requirements"))

from lock import images_of

from scaling_operator.settings import Settings

DOCKERFILE = (REPOSITORY / "Dockerfile").read_text()
PROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())
IMAGES = images_of(PROJECT)


def pins(name: str) -> dict[str, str]:
    lines = (REPOSITORY / name).read_text().splitlines()
    found = (re.match(r"([A-Za-z0-9._-]+)==([^ ;]+)", line) for line in lines)
    return {normal(match[1]): match[2] for match in found if match}


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


@pytest.mark.parametrize("name", ["operator", "trainer"])
def test_a_lock_has_the_versions_that_were_tested(name):
    locked, tested = pins(f"requirements/{name}.txt"), pins("constraints.txt")
    assert {package: tested.get(package) for package in locked} == locked, f"run `python requirements/lock.py {name}`"


@pytest.mark.parametrize("name", IMAGES)
def test_a_lock_has_all_that_the_project_asks_for(name):
    wanted = {normal(re.split(r"[\[<>=]", need)[0]) for need in IMAGES[name].needs}
    assert wanted <= pins(f"requirements/{name}.txt").keys(), f"run `python requirements/lock.py {name}`"


@pytest.mark.parametrize("name", IMAGES)
def test_every_package_is_known_by_its_hash(name):
    text = (REPOSITORY / f"requirements/{name}.txt").read_text()
    for entry in re.split(r"\n(?=\S)", text)[1:]:
        assert re.search(r"--hash=sha256:[0-9a-f]{64}", entry), entry


def test_the_operator_has_neither_torch_nor_ray():
    assert not pins("requirements/operator.txt").keys() & {"torch", "ray", "torchao", "pyarrow", "pandas"}


def test_kuberay_is_told_the_version_of_ray_that_is_in_the_image():
    assert pins("requirements/trainer.txt")["ray"] == Settings().trainer.ray_version


def test_both_images_run_as_the_user_that_pods_are_given():
    pods = Settings().pods
    assert f"USER {pods.run_as_user}:{pods.run_as_group}" in DOCKERFILE
    assert f"--uid {pods.run_as_user} --gid {pods.run_as_group}" in DOCKERFILE


def test_images_are_those_that_the_chart_names():
    assert f"-t {Settings().trainer.image} " in DOCKERFILE
    for version in (PROJECT["project"]["version"],):
        assert DOCKERFILE.count(f"ARG VERSION={version}") == 2
        assert Settings().trainer.image.endswith(f":{version}")
        assert f"appVersion: {version}" in (REPOSITORY / "charts/scaling-operator/Chart.yaml").read_text()
