"""`scaling report`."""

import sys
from pathlib import Path
from typing import Annotated

import typer


def report(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A results folder.")],
    *,
    out: Annotated[Path | None, typer.Option(metavar="DIR", help="Where to write; else DIR/report.")] = None,
) -> None:
    """Write a results folder's charts: one HTML page that needs no network, and PNGs."""
    from scaling_cli.reporting import write_folder_report

    sys.stdout.write(f"{write_folder_report(folder, out=out)}\n")
