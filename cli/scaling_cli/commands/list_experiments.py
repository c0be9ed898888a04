"""`scaling list`."""

import sys
from typing import Annotated, Literal

import typer

from scaling_cli.cluster.options import ClusterOptions, ContextOption, KubeconfigOption, NamespaceOption

Format = Literal["table", "json", "name"]


def list_(
    ctx: typer.Context,
    *,
    all_namespaces: Annotated[bool, typer.Option("--all-namespaces", "-A", help="Of every namespace.")] = False,
    output: Annotated[Format, typer.Option("--output", "-o")] = "table",
    kubeconfig: KubeconfigOption = None,
    context: ContextOption = None,
    namespace: NamespaceOption = None,
) -> None:
    """List the experiments on a cluster."""
    from datetime import UTC, datetime

    from scaling_cli.cluster.client import connect
    from scaling_cli.cluster.experiments import list_experiments
    from scaling_cli.show.console import messages
    from scaling_cli.show.console import output as console_output
    from scaling_cli.show.json_text import json_text

    options = ClusterOptions.of(ctx, kubeconfig=kubeconfig, context=context, namespace=namespace)
    cluster = connect(options)
    experiments = list_experiments(cluster, everywhere=all_namespaces)
    if output == "json":
        for experiment in experiments:
            experiment.manifest["metadata"].pop("managedFields", None)
        sys.stdout.write(json_text([experiment.manifest for experiment in experiments]) + "\n")
    elif output == "name":
        sys.stdout.writelines(f"{experiment.name}\n" for experiment in experiments)
    elif not experiments:
        where = "on this cluster" if all_namespaces else f"in the namespace {cluster.namespace}"
        messages().print(f"There are no experiments {where}.", soft_wrap=True)
    else:
        from scaling_cli.show.experiment_list import experiment_table

        console_output().print(experiment_table(experiments, with_namespace=all_namespaces, now=datetime.now(UTC)))
