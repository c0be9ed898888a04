"""Building the programs, once for each state of the sources.

A module's programs lie in `<cache>/<module>-<hash>/`, where the hash covers go.mod, go.sum, main.go and the build
options. Such a folder appears at once and complete, by a rename, and is never changed.
"""

import hashlib
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

from throwaway.errors import ClusterError, UnavailableError
from throwaway.locks import locked
from throwaway.programs import Build, Module

SIDE_BY_SIDE: Final = 2
"""Modules built at a time: go uses all cores by itself, but links on one."""
NO_NETWORK: Final = re.compile(r"dial tcp|no such host|i/o timeout|module lookup disabled|proxyconnect")
Say = Callable[[str], None]


def to_stderr(line: str) -> None:
    """Say a line of progress."""
    print(line, file=sys.stderr, flush=True)


def cache() -> Path:
    """Return the user's cache folder for this project's clusters."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "scaling-operator" / "cluster"


def sources_hash(module: Module) -> str:
    """Return 12 hex digits that change with anything that changes the programs."""
    digest = hashlib.sha256(repr((module, platform.machine())).encode())
    for path in sorted(module.folder.iterdir()):
        digest.update(f"{path.name}\0{path.stat().st_size}\0".encode() + path.read_bytes())
    return digest.hexdigest()[:12]


def folder_of(module: Module) -> Path:
    """Return where the module's programs are, or will be once built."""
    return cache() / f"{module.name}-{sources_hash(module)}"


def missing(modules: Iterable[Module]) -> tuple[Module, ...]:
    """Return the modules that are not built yet."""
    return tuple(module for module in modules if not folder_of(module).is_dir())


def why_not_built(modules: Iterable[Module]) -> str:
    """Return why what is missing cannot be built here; empty where it can or is built."""
    unbuilt = missing(modules)
    names = ", ".join(module.name for module in unbuilt)
    if unbuilt and not shutil.which("go"):
        return (
            f"Go is not installed, and {names} must be built: install Go 1.24 or later (https://go.dev/dl), "
            "or set KUBEBUILDER_ASSETS (etcd, kube-apiserver, kubectl) or KUBECONFIG (a cluster that runs)"
        )
    if any(build.needs_c for module in unbuilt for build in module.builds):
        return why_no_c()
    return ""


def why_no_c() -> str:
    """Return what runc's build lacks here; empty where it has all."""
    absent = next(absent_for_c(), None)
    return f"runc must be built, and {absent[0]} not installed: apt-get install {absent[1]}" if absent else ""


def absent_for_c() -> Iterator[tuple[str, str]]:
    """Yield what a build with cgo lacks here, and the Debian packages that bring it."""
    for program, packages in (("gcc", "gcc libc6-dev"), ("pkg-config", "pkg-config")):
        if not shutil.which(program):
            yield f"{program} is", packages
    if not has_library("libseccomp"):
        yield "libseccomp's headers are", "libseccomp-dev"


def packages_for(modules: Iterable[Module]) -> Iterator[str]:
    """Yield the Debian packages that are needed to build what is missing, and are not here."""
    if any(build.needs_c for module in missing(modules) for build in module.builds):
        for _, packages in absent_for_c():
            yield from packages.split()


def has_library(name: str) -> bool:
    has_tool = shutil.which("pkg-config") is not None
    return has_tool and subprocess.run(["pkg-config", "--exists", name], check=False).returncode == 0


def built(modules: Iterable[Module], *, say: Say = to_stderr) -> tuple[Path, ...]:
    """Return the folders of the modules' programs, all built.

    Raises:
        UnavailableError: Something that building needs is not on this machine, or the network is away.
        ClusterError: A build failed; the message ends with what Go said.
    """
    modules = tuple(modules)
    if reason := why_not_built(modules):
        raise UnavailableError(reason)
    with ThreadPoolExecutor(SIDE_BY_SIDE) as pool:
        return tuple(pool.map(lambda module: built_one(module, say), modules))


def built_one(module: Module, say: Say) -> Path:
    target = folder_of(module)
    if target.is_dir():
        return target
    with locked(target.with_suffix(".lock")):
        if not target.is_dir():  # another process may have built it while this one waited
            build_into(target, module, say)
    return target


def build_into(target: Path, module: Module, say: Say) -> None:
    started = time.monotonic()
    say(f"building {module.name} ...")
    for abandoned in target.parent.glob(f".{target.name}-*"):  # by a build that was killed: the lock is ours
        shutil.rmtree(abandoned)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=f".{target.name}-") as scratch:
        folder = Path(scratch, "bin")
        folder.mkdir()
        for build in module.builds:
            run_go(module, build, folder)
        for name in module.links:
            (folder / name).symlink_to(module.builds[0].output)
        if module.manifests:
            copy_manifests(module, folder / "config")
        folder.rename(target)
    say(f"built {module.name} in {time.monotonic() - started:.0f} s")


def run_go(module: Module, build: Build, folder: Path) -> None:
    output = folder / build.output if build.output else f"{folder}/"
    go(module, "build", "-trimpath", "-buildvcs=false", "-o", str(output), *build.arguments, needs_c=build.needs_c)


def copy_manifests(module: Module, target: Path) -> None:
    source = Path(go(module, "list", "-m", "-f", "{{.Dir}}", module.manifests).strip(), "config")
    shutil.copytree(source, target, ignore=shutil.ignore_patterns("samples"))
    for path in (target, *target.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)  # Go's module cache is read-only


def go(module: Module, verb: str, *arguments: str, needs_c: bool = False) -> str:
    env = {**os.environ, "CGO_ENABLED": "1" if needs_c else "0", "GOWORK": "off"}
    done = subprocess.run(
        ["go", verb, *arguments], cwd=module.folder, env=env, text=True, capture_output=True, check=False
    )
    if done.returncode:
        last = "\n".join(done.stderr.splitlines()[-15:])
        kind = UnavailableError if NO_NETWORK.search(done.stderr) else ClusterError
        raise kind(f"{module.name} was not built: go {verb} said\n{last}")
    return done.stdout
