"""`scaling validate`."""

import sys
from typing import Annotated

import typer

from scaling_cli.errors import CommandError, ExitCode


def validate(
    files: Annotated[
        list[str], typer.Argument(metavar="FILE...", help="Experiments, YAML or JSON; - is standard input.")
    ],
) -> None:
    """Check experiments: one line for each mistake, with the field, what was found and what is allowed."""
    results = [_is_valid(file) for file in files]
    if not all(results):
        raise typer.Exit(ExitCode.USER_ERROR)


def _is_valid(file: str) -> bool:
    from scaling_cli.experiments import load_fittable

    try:
        loaded = load_fittable(file)
    except CommandError as error:
        sys.stderr.write(f"{error}\n")
        return False
    sys.stdout.write(f"{loaded.source.name}: valid, the experiment {loaded.experiment.metadata.name}\n")
    return True
