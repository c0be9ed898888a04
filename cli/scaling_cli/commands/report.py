"""`scaling report`."""

import sys
from pathlib import Path
from typing import Annotated

import typer


def report(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A results folder.")],
    *,
    out: Annotated[Path | None, typer.Option(metavar="DIR", help="Where to write; else DIR itself.")] = None,
) -> None:
    """Write a results folder's charts: one HTML page that needs no network, and PNGs."""
    from scaling_cli.reporting import report_on_folder

    sys.stdout.write(f"{report_on_folder(folder, out=out)}\n")
