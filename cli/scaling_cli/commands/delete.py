"""`scaling delete`."""

import sys
from typing import Annotated

import typer

from scaling_cli.cluster.options import ClusterOptions, ContextOption, KubeconfigOption, NamespaceOption


def delete(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME", help="An experiment.")],
    *,
    kubeconfig: KubeconfigOption = None,
    context: ContextOption = None,
    namespace: NamespaceOption = None,
) -> None:
    """Delete an experiment, its cluster and its records; what is in storage stays."""
    from scaling_cli.cluster.client import connect
    from scaling_cli.cluster.experiments import delete_experiment, read_experiment

    options = ClusterOptions.of(ctx, kubeconfig=kubeconfig, context=context, namespace=namespace)
    cluster = connect(options)
    experiment = read_experiment(cluster, name)
    delete_experiment(cluster, experiment)
    sys.stdout.write(
        f"{name} in the namespace {experiment.namespace} is being deleted, its cluster and the records of its trials "
        "too. Results stay in storage: applied again, it reuses them.\n"
    )
