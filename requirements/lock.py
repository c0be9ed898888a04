"""Write what goes into each image, with the hash of every file: `python requirements/lock.py [NAME ...]`.

pip resolves each image's needs within constraints.txt, for every Python version and machine that the image is built
for, and says which wheels it would take; nothing is installed.
"""

import json
import re
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
REPOSITORY = HERE.parent
PYTHONS = ("3.11", "3.12", "3.13")
LINUX = ("manylinux2014", *(f"manylinux_2_{minor}" for minor in range(5, 29)))
"""What a machine with glibc 2.28 runs; a wheel carries the tags that it was built for."""
OF_THE_OPERATOR = {"pydantic", "numpy", "scipy", "ruamel.yaml"}
"""What the operator needs of the project's own dependencies; the rest is for the command."""


@dataclass(frozen=True)
class Image:
    """What an image needs, and for which machines it is built."""

    needs: tuple[str, ...]
    machines: tuple[str, ...]


def main(names: Sequence[str]) -> int:
    """Write the lock of each named image; of all where none is named."""
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())
    for name, image in images_of(project).items():
        if not names or name in names:
            found = sorted(locked(image))
            (HERE / f"{name}.txt").write_text(_header(name) + "".join(found))
            sys.stdout.write(f"{name}: {len(found)} packages\n")
    return 0


def images_of(project: dict[str, Any]) -> dict[str, Image]:
    """Return what each image needs, from pyproject.toml."""
    own, extras = project["project"]["dependencies"], project["project"]["optional-dependencies"]
    operator = [need for need in own if _name(need) in OF_THE_OPERATOR]
    both = ("x86_64", "aarch64")
    return {
        "build": Image(tuple(project["build-system"]["requires"]), both),
        "operator": Image((*operator, *extras["operator"]), both),
        # torch's wheels for other machines need other CUDA packages, which pip does not resolve from here.
        "trainer": Image((*own, *extras["trainer"]), ("x86_64",)),
    }


def locked(image: Image) -> Iterator[str]:
    """Yield one requirement for each package, with the hash of its wheel for each Python and machine."""
    hashes: dict[str, set[str]] = {}
    for python in PYTHONS:
        for machine in image.machines:
            for wheel in resolve(image.needs, python=python, machine=machine):
                pin = f"{wheel['metadata']['name'].lower().replace('_', '-')}=={wheel['metadata']['version']}"
                hashes.setdefault(pin, set()).add(wheel["download_info"]["archive_info"]["hashes"]["sha256"])
    for pin, digests in hashes.items():
        yield " \\\n".join([pin, *(f"    --hash=sha256:{digest}" for digest in sorted(digests))]) + "\n"


def resolve(needs: Sequence[str], *, python: str, machine: str) -> list[dict[str, Any]]:
    """Return the wheels that pip would install, as in its report."""
    platforms = [word for linux in LINUX for word in ("--platform", f"{linux}_{machine}")]
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder, "report.json")
        command = [
            sys.executable, "-m", "pip", "install", "--dry-run", "--quiet", "--ignore-installed", "--no-cache-dir",
            "--only-binary", ":all:", "--python-version", python, *platforms, "--target", folder,
            "--constraint", str(REPOSITORY / "constraints.txt"), "--report", str(report), *needs,
        ]  # fmt: skip
        subprocess.run(command, check=True)
        return list(json.loads(report.read_text())["install"])


def _name(need: str) -> str:
    return re.split(r"[\s<>=]", need, maxsplit=1)[0]


def _header(name: str) -> str:
    return f"# Written by `python requirements/lock.py {name}` from pyproject.toml and constraints.txt: change those.\n"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
