"""`scaling status`."""

import sys
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from scaling_cli.cluster.options import ClusterOptions, ContextOption, KubeconfigOption, NamespaceOption
from scaling_cli.errors import CommandError, ExitCode

if TYPE_CHECKING:
    from scaling_cli.cluster.looking import Look

Format = Literal["page", "wide", "json", "yaml"]


def status(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME", help="An experiment.")],
    *,
    output: Annotated[Format, typer.Option("--output", "-o", help="wide leaves nothing out.")] = "page",
    watch: Annotated[bool, typer.Option("--watch", "-w", help="Show it again whenever it changes.")] = False,
    kubeconfig: KubeconfigOption = None,
    context: ContextOption = None,
    namespace: NamespaceOption = None,
) -> None:
    """Show where an experiment on a cluster stands, why, what it found, and what to do next."""
    from scaling_cli.cluster.client import connect
    from scaling_cli.cluster.looking import look
    from scaling_cli.cluster.naming import means_folder_alone

    options = ClusterOptions.of(ctx, kubeconfig=kubeconfig, context=context, namespace=namespace)
    if means_folder_alone(name, options):
        raise CommandError(
            f"{name} is a folder, or looks like one, and a status is of an experiment on a cluster. Of a results "
            f"folder see: scaling trials {name}, scaling logs {name}, scaling report {name}"
        )
    cluster = connect(options)
    if not watch:
        _write(look(cluster, name), output, options)
        return
    if output in {"json", "yaml"}:
        raise CommandError(f"--watch shows pages; -o {output} is for one look.")
    from scaling_cli.show.watched_page import watch_page

    try:
        watch_page(cluster, name, options, is_wide=output == "wide")
    except KeyboardInterrupt:
        raise typer.Exit(ExitCode.DONE) from None


def _write(seen: "Look", output: Format, options: ClusterOptions) -> None:
    from scaling_cli.cluster.page_document import look_document
    from scaling_cli.show.json_text import json_text
    from scaling_cli.show.yaml_text import yaml_text

    if output == "json":
        sys.stdout.write(json_text(look_document(seen, options)) + "\n")
    elif output == "yaml":
        sys.stdout.write(yaml_text(look_document(seen, options)))
    else:
        from datetime import UTC, datetime

        from scaling_cli.show.console import output as console_output
        from scaling_cli.show.experiment_page import page_blocks

        console = console_output()
        for block in page_blocks(seen, options, now=datetime.now(UTC), is_wide=output == "wide"):
            console.print(block)
