"""The image that tests' pods run from: a minimal Debian with Python, made by debootstrap and kept in the cache.

What runs in it is mounted from the machine (see `mounted_python`), so it must have the machine's C library: it is made
from the machine's own release.
"""

import hashlib
import os
import platform
import shutil
import tempfile
from pathlib import Path
from typing import Final

from throwaway.build import cache
from throwaway.errors import UnavailableError
from throwaway.images import Image, pack
from throwaway.locks import locked
from throwaway.processes import run

NAME: Final = "localhost/scaling-base:1"
PACKAGES: Final = ("ca-certificates", "procps", "python3")
USELESS: Final = ("usr/share/doc", "usr/share/man", "usr/share/locale", "var/cache/apt", "var/lib/apt/lists")


TOOL: Final = "debootstrap"


def release() -> str:
    """Return the code name of the machine's Debian or Ubuntu; empty where it has none."""
    return platform.freedesktop_os_release().get("VERSION_CODENAME", "")


def archive_of(named: str) -> Path:
    """Return where the base image of a release is, or will be once made."""
    digest = hashlib.sha256(repr((NAME, named, PACKAGES, USELESS, Path(__file__).read_text())).encode())
    return cache().parent / "images" / f"base-{named}-{digest.hexdigest()[:12]}.tar"


def why_not() -> str:
    """Return why there is no base image and none can be made; empty where there is or can."""
    named = release()
    if archive_of(named).exists():
        return ""
    if not shutil.which(TOOL):
        return f"a base image is made by {TOOL}, on Debian or Ubuntu: apt-get install {TOOL}"
    if not Path(f"/usr/share/debootstrap/scripts/{named}").is_file():
        return f"a base image is made by {TOOL}, which does not know this release: {named or 'no Debian or Ubuntu'}"
    return ""


def missing_packages() -> tuple[str, ...]:
    """Return the Debian packages that making the image needs and that are not here; none where it is made."""
    is_made = archive_of(release()).exists()
    return () if is_made or shutil.which(TOOL) else (TOOL,)


def base_image() -> Path:
    """Return the archive of the base image, made the first time (about a minute, from the release's package mirror).

    Raises:
        UnavailableError: This machine cannot make it.
    """
    if reason := why_not():
        raise UnavailableError(reason)
    named = release()
    archive = archive_of(named)
    if not archive.exists():
        with locked(archive.with_suffix(".lock")):
            if not archive.exists():
                make(archive, named)
    return archive


def make(archive: Path, named: str) -> None:
    with tempfile.TemporaryDirectory(dir=archive.parent) as scratch:
        root, packed = Path(scratch, "root"), Path(scratch, "image.tar")
        run(TOOL, "--variant=minbase", f"--include={','.join(PACKAGES)}", named, root, env=quiet())
        for folder in USELESS:
            shutil.rmtree(root / folder, ignore_errors=True)
        (root / "root").chmod(0o755)  # a virtualenv may be mounted below it, for users other than root
        pack(root, packed, image=Image(NAME))
        packed.rename(archive)


def quiet() -> dict[str, str]:
    return {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C.UTF-8"}
