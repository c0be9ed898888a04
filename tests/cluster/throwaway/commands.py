"""The command line.

up --level api|control|node   boot a cluster and print the KUBECONFIG line to use
down                          take it down, however it was left
check                         say in one line why no node can be had here, and fail; say nothing where one can
check --packages              print the Debian packages that a node needs and that are missing
survey                        list what clusters could leave on the machine, to compare before and after
build LEVEL [MODULE ...]      build what a level needs, and optional modules
kubectl ...                   kubectl on the cluster
inside -- COMMAND             run a command in the node: Services and cluster DNS work there
pack ROOT NAME ARCHIVE        make an image archive from a root file system folder
load ARCHIVE                  give an image archive to the node
"""

import argparse
import os
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

from throwaway.build import built
from throwaway.cluster import Cluster, cluster_of
from throwaway.errors import ClusterError
from throwaway.images import Image, pack
from throwaway.keep import keep
from throwaway.needs import missing_packages, why_no_pods
from throwaway.processes import identity
from throwaway.programs import ALL, LEVELS, modules_of
from throwaway.state import State, default_folder
from throwaway.supervise import supervise
from throwaway.survey import lines, survey

Run = Callable[[argparse.Namespace], int]
Verbs: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"


def main() -> None:
    """Do what the command line says, and exit."""
    top = parser()
    given, words = top.parse_known_args()
    if words and given.run not in (run_kubectl, run_inside):
        top.error(f"unknown words: {' '.join(words)}")
    given.words = words[1:] if words[:1] == ["--"] else words
    try:
        sys.exit(given.run(given))
    except ClusterError as error:
        sys.exit(f"error: {error}")


def parser() -> argparse.ArgumentParser:
    """Return the command line's parser."""
    top = argparse.ArgumentParser(
        prog="tests/cluster", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    verbs = top.add_subparsers(required=True, metavar="VERB")
    add_verbs(verbs)
    add_inner_verbs(verbs)
    return top


def add_verbs(verbs: Verbs) -> None:
    up = verb(verbs, "up", run_up)
    up.add_argument("--level", choices=LEVELS, default="control")
    up.add_argument("--image", type=Path, action="append", default=[], help="an image archive to load")
    verb(verbs, "down", run_down)
    verb(verbs, "check", run_check).add_argument("--packages", action="store_true")
    verb(verbs, "survey", run_survey)
    build = verb(verbs, "build", run_build)
    build.add_argument("level", choices=LEVELS)
    build.add_argument("modules", nargs="*", choices=[*ALL, []], metavar="MODULE")
    verb(verbs, "kubectl", run_kubectl, takes_words=True)
    verb(verbs, "inside", run_inside, takes_words=True)
    packing = verb(verbs, "pack", run_pack)
    packing.add_argument("root", type=Path)
    packing.add_argument("name")
    packing.add_argument("archive", type=Path)
    verb(verbs, "load", run_load).add_argument("archive", type=Path)


def add_inner_verbs(verbs: Verbs) -> None:
    """Add those that the tool starts by itself."""
    keeping, supervising = verb(verbs, "keep", run_keep), verb(verbs, "supervise", run_supervise)
    for inner in (keeping, supervising):
        inner.add_argument("--level", choices=LEVELS, required=True)
    keeping.add_argument("--owner", type=int)
    supervising.add_argument("--keeper", required=True)
    supervising.add_argument("--keeper-fd", type=int, required=True)
    supervising.add_argument("--listen-fd", type=int, required=True)


def verb(verbs: Verbs, name: str, run: Run, *, takes_words: bool = False) -> argparse.ArgumentParser:
    """Add a verb; one that takes words hands what it does not know, --help too, to another program."""
    made = verbs.add_parser(name, add_help=not takes_words, allow_abbrev=not takes_words)
    made.set_defaults(run=run)
    made.add_argument("--state", type=Path, default=default_folder(), help="folder of the cluster [%(default)s]")
    return made


def existing(given: argparse.Namespace) -> Cluster:
    """Return the cluster that is up in the folder."""
    state = State(given.state.resolve())
    level = state.level.read_text() if state.level.exists() else ""
    cluster = cluster_of(level, folder=state.folder) if level else None
    if not cluster or not cluster.is_up:
        raise ClusterError("no cluster is up: make cluster-up")
    return cluster


def run_up(given: argparse.Namespace) -> int:
    cluster = cluster_of(given.level, folder=given.state.resolve())
    cluster.up()
    for image in given.image:
        cluster.load(image)
    print(f"export KUBECONFIG={cluster.kubeconfig}")
    return 0


def run_down(given: argparse.Namespace) -> int:
    Cluster(State(given.state.resolve())).down()
    return 0


def run_check(given: argparse.Namespace) -> int:
    said = " ".join(missing_packages()) if given.packages else why_no_pods(given.state)
    if said:
        print(said)
    return 1 if said and not given.packages else 0


def run_survey(_: argparse.Namespace) -> int:
    print("\n".join(lines(survey())))
    return 0


def run_build(given: argparse.Namespace) -> int:
    for folder in built(modules_of(given.level, tuple(given.modules))):
        print(folder)
    return 0


def run_kubectl(given: argparse.Namespace) -> int:
    env = existing(given).env
    os.execvpe("kubectl", ["kubectl", *given.words], env)


def run_inside(given: argparse.Namespace) -> int:
    return existing(given).inside(*given.words).returncode


def run_pack(given: argparse.Namespace) -> int:
    pack(given.root, given.archive, image=Image(given.name))
    return 0


def run_load(given: argparse.Namespace) -> int:
    existing(given).load(given.archive)
    return 0


def run_keep(given: argparse.Namespace) -> int:
    """Go on in the background: who boots a cluster shall neither wait for its keeper nor be its parent."""
    state = State(given.state)
    if child := os.fork():
        state.keeper.write_text(identity(child))
        return 0
    os.setsid()
    return keep(state, given.level, owner=given.owner)


def run_supervise(given: argparse.Namespace) -> int:
    listener = socket.socket(fileno=given.listen_fd)
    return supervise(State(given.state), given.level, keeper=given.keeper, keeper_fd=given.keeper_fd, listener=listener)
