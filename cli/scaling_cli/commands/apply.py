"""`scaling apply`."""

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from scaling_cli.cluster.options import ClusterOptions, ContextOption, KubeconfigOption, NamespaceOption
from scaling_cli.errors import CommandError, ExitCode

if TYPE_CHECKING:
    from scaling_cli.cluster.applying import Applied
    from scaling_cli.cluster.client import Cluster
    from scaling_cli.cluster.experiments import ClusterExperiment
    from scaling_cli.experiments import LoadedExperiment


def apply(
    ctx: typer.Context,
    file: Annotated[
        str, typer.Argument(metavar="FILE", help="A ScalingExperiment, YAML or JSON; - is standard input.")
    ],
    *,
    wait: Annotated[
        bool, typer.Option("--wait", help="Show the progress until the end, then laws and answers.")
    ] = False,
    timeout: Annotated[
        str | None, typer.Option(metavar="TIME", help="With --wait: at most so long, such as 90m or 12h.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Have the API server check it; nothing is changed.")
    ] = False,
    kubeconfig: KubeconfigOption = None,
    context: ContextOption = None,
    namespace: NamespaceOption = None,
) -> None:
    """Create an experiment on a cluster, or change it to what the file says."""
    from scaling_cli.cluster.applying import apply_experiment, namespace_for
    from scaling_cli.cluster.client import connect
    from scaling_cli.cluster.durations import seconds_of

    timeout_s = None if timeout is None else seconds_of(timeout, option="--timeout")
    if wait and dry_run:
        raise CommandError("--dry-run changes nothing, so there is nothing to --wait for; leave one of them out.")
    loaded = _checked(file)
    options = ClusterOptions.of(ctx, kubeconfig=kubeconfig, context=context, namespace=namespace)
    cluster = connect(options)
    cluster = cluster.within(namespace_for(loaded, options) or cluster.namespace)
    applied = apply_experiment(cluster, loaded, dry_run=dry_run)
    _say(applied, is_dry_run=dry_run)
    _note(loaded)
    if wait:
        _wait(cluster, applied.experiment, options, timeout_s=timeout_s)
    elif not dry_run:
        follow = options.command("status", applied.experiment.name, "--watch")
        sys.stdout.write(f"Follow it with: {follow}\n")


def _checked(file: str) -> "LoadedExperiment":
    """Return the experiment, if a cluster could do it: what is wrong is said before anything is changed."""
    from scaling_cli.experiments import load_experiment
    from scaling_laws.design.supported import Place, unsupported
    from scaling_laws.law_requests import unfittable

    loaded = load_experiment(file)
    spec = loaded.experiment.spec
    if problems := (*unsupported(spec, place=Place.CLUSTER), *unfittable(spec)):
        raise loaded.source.error(problems)
    return loaded


def _say(applied: "Applied", *, is_dry_run: bool) -> None:
    from scaling_cli.show.console import messages, output

    experiment = applied.experiment
    done = "created" if applied.is_new else "changed" if applied.changes else "unchanged"
    would = {"created": "would be created", "changed": "would be changed", "unchanged": "would not be changed"}
    where = f"in the namespace {experiment.namespace}"
    word = f"{would[done]}. Nothing was done" if is_dry_run else done
    output().print(f"The experiment {experiment.name} {where}: {word}.", soft_wrap=True)
    for change in applied.changes:
        output().print(f"  {change}", soft_wrap=True)
    for kept in applied.kept:
        messages().print(f"{kept}; someone else has set it, and it stays.", style="yellow", soft_wrap=True)


def _note(loaded: "LoadedExperiment") -> None:
    """Say what will not work out, as `scaling plan` says it."""
    from scaling_cli.planning import notes_for_cluster
    from scaling_cli.show.console import messages

    for note in notes_for_cluster(loaded):
        messages().print(note, style="yellow", soft_wrap=True)


def _wait(
    cluster: "Cluster", experiment: "ClusterExperiment", options: ClusterOptions, *, timeout_s: float | None
) -> None:
    from scaling_cli.cluster.waiting import wait_for
    from scaling_cli.show.following import shown_following

    try:
        with shown_following() as show:
            ended = wait_for(cluster, experiment, timeout_s=timeout_s, show=show)
    except KeyboardInterrupt:
        name = experiment.name
        raise CommandError(
            f"No longer waiting; the cluster goes on with {name}. See it with: {options.command('status', name)}; stop "
            f"it with: {options.command('suspend', name)}",
            exit_code=ExitCode.INTERRUPTED,
        ) from None
    _show_end(ended, options)


def _show_end(experiment: "ClusterExperiment", options: ClusterOptions) -> None:
    from scaling_cli.cluster.standing import exit_code_of
    from scaling_cli.show.cluster_ends import end_blocks, last_words
    from scaling_cli.show.console import output

    console = output()
    for block in end_blocks(experiment):
        console.print(block)
    code = exit_code_of(experiment)
    if code is not ExitCode.DONE:
        raise CommandError(last_words(experiment, options), exit_code=code)
