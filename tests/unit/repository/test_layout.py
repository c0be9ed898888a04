"""The guards of the layout: what must never exist, and that the import contracts bite."""

import operator
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
PACKAGES = {
    "scaling_operator": "operator",
    "scaling_trainer": "trainer",
    "scaling_laws": "laws",
    "scaling_cli": "cli",
    "scaling_api": "crds",
}


def test_the_operator_folder_does_not_shadow_the_standard_library() -> None:
    assert not (ROOT / "operator" / "__init__.py").exists()
    assert Path(operator.__file__).parent == Path(sysconfig.get_path("stdlib"))


@pytest.mark.parametrize(("package", "folder"), PACKAGES.items())
def test_every_package_is_typed(package: str, folder: str) -> None:
    assert (ROOT / folder / package / "py.typed").exists()


# What each contract of pyproject.toml forbids, written into a copy of the packages.
FORBIDDEN = {
    "Arrows point down": ("laws/scaling_laws/points.py", "import scaling_cli"),
    "The operator never imports torch or ray": ("operator/scaling_operator/__init__.py", "import torch"),
    "The trainer never imports kopf or kubernetes": ("trainer/scaling_trainer/context.py", "import kubernetes"),
    "The laws are pure": ("laws/scaling_laws/points.py", "import random"),
    "What decides is pure": ("operator/scaling_operator/decide/rows.py", "import time"),
    "Only scaling_operator.cluster imports kubernetes": ("operator/scaling_operator/reconcile.py", "import kubernetes"),
    "The contract needs pydantic alone": ("crds/scaling_api/problems.py", "import numpy"),
}


def lint_imports(root: Path) -> subprocess.CompletedProcess[str]:
    path = ":".join(str(root / folder) for folder in PACKAGES.values())
    return subprocess.run(
        [str(Path(sys.executable).with_name("lint-imports")), "--no-cache"],
        cwd=root, env={"PYTHONPATH": path, "PATH": "/usr/bin:/bin"}, capture_output=True, text=True, check=False,
    )  # fmt: skip


@pytest.mark.parametrize("contract", FORBIDDEN)
def test_each_import_contract_bites(contract: str, tmp_path: Path) -> None:
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    for folder in PACKAGES.values():
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__"))
    file, statement = FORBIDDEN[contract]
    (tmp_path / file).write_text((tmp_path / file).read_text() + f"\n{statement}  # noqa\n")
    linted = lint_imports(tmp_path)
    assert linted.returncode != 0
    broken = [line for line in linted.stdout.splitlines() if "BROKEN" in line]
    assert len(broken) == 1
    assert contract in broken[0]
