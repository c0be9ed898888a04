"""`scaling suspend` and `scaling resume`."""

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from scaling_cli.cluster.options import ClusterOptions, ContextOption, KubeconfigOption, NamespaceOption

if TYPE_CHECKING:
    from scaling_cli.cluster.experiments import ClusterExperiment

Name = Annotated[str, typer.Argument(metavar="NAME", help="An experiment.")]


def suspend(
    ctx: typer.Context,
    name: Name,
    *,
    kubeconfig: KubeconfigOption = None,
    context: ContextOption = None,
    namespace: NamespaceOption = None,
) -> None:
    """Stop an experiment's cluster and keep its results, until it is resumed."""
    from scaling_cli.cluster.standing import standing_of

    options = ClusterOptions.of(ctx, kubeconfig=kubeconfig, context=context, namespace=namespace)
    before = _set(options, name, suspended=True)
    if before.is_suspended:
        sys.stdout.write(f"{name} is suspended already. Start it with: {options.command('resume', name)}\n")
        return
    if standing_of(before).is_over:
        sys.stdout.write(f"{name} is over: nothing runs. Now it is suspended too, and a change will not start it.\n")
        return
    running = before.status.trials.running
    trials = f" The {running:,} running trials are interrupted, and go on from their checkpoints." if running else ""
    sys.stdout.write(
        f"{name} is being suspended: its cluster is stopped, results are kept.{trials} "
        f"Start it with: {options.command('resume', name)}\n"
    )


def resume(
    ctx: typer.Context,
    name: Name,
    *,
    kubeconfig: KubeconfigOption = None,
    context: ContextOption = None,
    namespace: NamespaceOption = None,
) -> None:
    """Let a suspended experiment go on."""
    options = ClusterOptions.of(ctx, kubeconfig=kubeconfig, context=context, namespace=namespace)
    before = _set(options, name, suspended=False)
    if not before.is_suspended:
        sys.stdout.write(f"{name} is not suspended{_how_to_go_on(before, options)}.\n")
        return
    status = before.status
    total = status.plan.trials if status.plan else 0
    what = f"; {total - before.finished:,} of {total:,} trials are left" if total else ""
    sys.stdout.write(
        f"{name} goes on: a cluster is started{what}. Follow it with: {options.command('status', name, '--watch')}\n"
    )


def _how_to_go_on(experiment: "ClusterExperiment", options: ClusterOptions) -> str:
    """Return the rest of a sentence about an experiment that has failed; nothing about any other."""
    from scaling_cli.cluster.standing import standing_of

    if standing_of(experiment).word != "Failed":
        return ""
    name = experiment.name
    again = f"{options.command('suspend', name)}, then: {options.command('resume', name)}"
    return f", it has failed: `{options.command('status', name)}` says why. Once that is set right, go on with: {again}"


def _set(options: ClusterOptions, name: str, *, suspended: bool) -> "ClusterExperiment":
    """Set spec.suspend, unless it is so already, and return the experiment as it was."""
    from scaling_cli.cluster.client import connect
    from scaling_cli.cluster.experiments import patch_spec, read_experiment

    cluster = connect(options)
    before = read_experiment(cluster, name)
    if before.is_suspended != suspended:
        patch_spec(cluster, name, {"suspend": suspended})
    return before
