"""`scaling plan`."""

import sys
from typing import Annotated

import typer


def plan(
    file: Annotated[
        str, typer.Argument(metavar="FILE", help="A ScalingExperiment, YAML or JSON; - is standard input.")
    ],
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print every trial as JSON.")] = False,
) -> None:
    """Show what an experiment would train, and what it would take, without running it."""
    from scaling_cli.experiments import load_experiment
    from scaling_cli.planning import plan_as_json, plan_locally
    from scaling_cli.show.console import output
    from scaling_cli.show.json_text import json_text
    from scaling_cli.show.plans import plan_blocks

    local = plan_locally(load_experiment(file), place=None)
    if as_json:
        sys.stdout.write(json_text(plan_as_json(local)) + "\n")
        return
    console = output()
    for block in plan_blocks(local):
        console.print(block)
