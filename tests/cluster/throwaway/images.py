"""Container images as OCI archives: one uncompressed layer from a folder, without docker."""

import hashlib
import io
import json
import platform
import tarfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from throwaway.processes import run

MEDIA: Final = "application/vnd.oci.image"
PATH: Final = "PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"
ARCHITECTURES: Final = {"x86_64": "amd64", "aarch64": "arm64"}


@dataclass(frozen=True)
class Image:
    """What an image says about itself."""

    name: str
    """With a tag other than `latest`, which would be pulled."""
    entrypoint: tuple[str, ...] = ()
    user: str = ""
    env: tuple[str, ...] = field(default=(PATH,))


def pack(root: Path, archive: Path, *, image: Image) -> None:
    """Write the folder `root` as an image archive."""
    layer = archive.with_suffix(".layer")
    run("tar", "--create", "--file", layer, "--directory", root, "--numeric-owner", "--one-file-system", ".")
    try:
        with tarfile.open(archive, "w") as tar:
            write_archive(tar, layer, image)
    finally:
        layer.unlink()


def write_archive(tar: tarfile.TarFile, layer: Path, image: Image) -> None:
    with layer.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    tar.add(layer, f"blobs/sha256/{digest}")
    config = add_blob(tar, "config", image_config(image, digest))
    described = {"mediaType": f"{MEDIA}.layer.v1.tar", "digest": f"sha256:{digest}", "size": layer.stat().st_size}
    content = {"schemaVersion": 2, "mediaType": f"{MEDIA}.manifest.v1+json", "config": config, "layers": [described]}
    manifest = add_blob(tar, "manifest", content)
    named = {**manifest, "annotations": {"io.containerd.image.name": image.name}}
    add(tar, "index.json", json.dumps({"schemaVersion": 2, "manifests": [named]}).encode())
    add(tar, "oci-layout", b'{"imageLayoutVersion": "1.0.0"}')


def image_config(image: Image, layer_digest: str) -> dict[str, Any]:
    machine = platform.machine()
    return {
        "architecture": ARCHITECTURES.get(machine, machine),
        "os": "linux",
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{layer_digest}"]},
        "config": {"Entrypoint": list(image.entrypoint), "Env": list(image.env), "User": image.user},
    }


def add_blob(tar: tarfile.TarFile, kind: str, value: dict[str, Any]) -> dict[str, Any]:
    content = json.dumps(value).encode()
    digest = hashlib.sha256(content).hexdigest()
    add(tar, f"blobs/sha256/{digest}", content)
    return {"mediaType": f"{MEDIA}.{kind}.v1+json", "digest": f"sha256:{digest}", "size": len(content)}


def add(tar: tarfile.TarFile, path: str, content: bytes) -> None:
    entry = tarfile.TarInfo(path)
    entry.size = len(content)
    tar.addfile(entry, io.BytesIO(content))
