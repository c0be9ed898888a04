"""`scaling logs`."""

import sys
import time
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from scaling_cli.cluster.options import ClusterOptions, ContextOption, KubeconfigOption, NamespaceOption
from scaling_cli.errors import CommandError, ExitCode

if TYPE_CHECKING:
    from scaling_cli.cluster.client import Cluster
    from scaling_cli.cluster.ray import Pod

_AGAIN_S = 3.0
"""Until a head that went is looked for again."""


def logs(  # noqa: PLR0913  # one argument an option
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME|DIR", help="An experiment on a cluster, or a results folder.")],
    *,
    trial: Annotated[
        str | None,
        typer.Option(metavar="ID", help="Only lines of all pods that name this trial; a beginning of its id will do."),
    ] = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on as lines are written.")] = False,
    previous: Annotated[bool, typer.Option("--previous", "-p", help="Of the container before its restart.")] = False,
    tail: Annotated[int | None, typer.Option(min=0, metavar="LINES", help="Only the last ones.")] = None,
    pod: Annotated[str | None, typer.Option(metavar="NAME", help="Of a worker, not of the head.")] = None,
    kubeconfig: KubeconfigOption = None,
    context: ContextOption = None,
    namespace: NamespaceOption = None,
) -> None:
    """Print the log of an experiment's driver, or what all pods say about one trial; of a folder, its attempts."""
    from scaling_cli.cluster.client import connect
    from scaling_cli.cluster.naming import means_folder_alone

    if trial is not None and len(trial) < 4:
        raise CommandError(f"--trial {trial}: give at least 4 characters of the id.")
    options = ClusterOptions.of(ctx, kubeconfig=kubeconfig, context=context, namespace=namespace)
    if means_folder_alone(name, options):
        _print(_of_folder(Path(name), trial or "", follow=follow, tail=tail))
        return
    cluster = connect(options)
    if trial is not None and pod is None and not previous:
        _print(_of_trial(cluster, name, trial, follow=follow, tail=tail))
        return
    lines = _lines(cluster, name, pod=pod, follow=follow, previous=previous, tail=tail)
    _print(line for line in lines if trial is None or trial in line)


def _print(lines: Iterator[str]) -> None:
    try:
        for line in lines:
            sys.stdout.write(f"{line}\n")
            sys.stdout.flush()
    except KeyboardInterrupt:
        raise typer.Exit(ExitCode.INTERRUPTED) from None


def _of_folder(folder: Path, trial: str, *, follow: bool, tail: int | None) -> Iterator[str]:
    """Yield what happened in a results folder; where trials have printed something, the place is told at the end."""
    from scaling_cli.run_log import printed_by, told_of

    lines = (line.text for line in told_of(folder, follow=follow) if line.trial.startswith(trial))
    last = None
    for last in lines if tail is None or follow else deque(lines, maxlen=tail):
        yield last
    if last is None:
        sys.stderr.write(f"{folder} tells of no attempt{f' at a trial {trial}' if trial else ''}.\n")
    if printed := printed_by(folder, trial):
        sys.stderr.write(f"What trials printed is in {', '.join(map(str, printed))}.\n")


def _of_trial(cluster: "Cluster", name: str, trial: str, *, follow: bool, tail: int | None) -> Iterator[str]:
    """Yield what all pods say about a trial; where none says anything, its record is told on standard error."""
    from scaling_cli.cluster.trial_logs import followed_trial_lines, shown, trial_lines, word_on_trial

    if follow:
        yield from map(shown, followed_trial_lines(cluster, name, trial))
        return
    found = trial_lines(cluster, name, trial)
    yield from map(shown, found if tail is None else found[len(found) - min(tail, len(found)) :])
    if not found:
        sys.stderr.write(f"{word_on_trial(cluster, name, trial)}\n")


def _lines(
    cluster: "Cluster", name: str, *, pod: str | None, follow: bool, previous: bool, tail: int | None
) -> Iterator[str]:
    """Yield lines; followed ones go on in the next head, where the head is lost."""
    from scaling_cli.cluster.logs import PodLog

    log = PodLog(cluster, _chosen(cluster, name, pod))
    yield from log.lines(follow=follow, previous=previous, tail=tail)
    while follow and not previous:
        time.sleep(_AGAIN_S)
        try:
            after = _chosen(cluster, name, pod)
        except CommandError as error:
            sys.stderr.write(f"{error}\n")
            return
        is_same = (after.name, after.restarts) == (log.pod.name, log.pod.restarts)
        if is_same and after.phase in {"Succeeded", "Failed"}:
            return
        if not is_same:
            log = PodLog(cluster, after)
        yield from log.lines(follow=True)


def _chosen(cluster: "Cluster", name: str, pod: str | None) -> "Pod":
    from scaling_cli.cluster.experiments import read_experiment
    from scaling_cli.cluster.logs import head_of
    from scaling_cli.cluster.ray import read_pods

    experiment = read_experiment(cluster, name)
    pods = read_pods(cluster, experiment)
    if pod is None:
        return head_of(experiment, pods)
    found = next((p for p in pods if p.name == pod), None)
    if found is None:
        known = ", ".join(p.name for p in pods) or "none"
        raise CommandError(f"{name} has no pod {pod}; it has: {known}.")
    return found
