"""`scaling report`."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from scaling_cli.cluster.options import ClusterOptions, ContextOption, KubeconfigOption, NamespaceOption


def report(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME|DIR", help="An experiment on a cluster, or a results folder.")],
    *,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR|FILE.html", help="Where to write, a page alone or with its charts; else DIR or NAME.html."
        ),
    ] = None,
    kubeconfig: KubeconfigOption = None,
    context: ContextOption = None,
    namespace: NamespaceOption = None,
) -> None:
    """Write charts of what an experiment found: one HTML page that needs no network, and PNGs."""
    from scaling_cli.cluster.naming import means_folder_alone

    options = ClusterOptions.of(ctx, kubeconfig=kubeconfig, context=context, namespace=namespace)
    if means_folder_alone(name, options):
        from scaling_cli.reporting import report_on_folder

        path = report_on_folder(Path(name), out=out)
    else:
        from scaling_cli.cluster.reporting import report_on_cluster

        path = report_on_cluster(name, options, out=out or Path(f"{name}.html"))
    sys.stdout.write(f"{path}\n")
