"""`scaling trials`."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from scaling_cli.errors import CommandError

if TYPE_CHECKING:
    from scaling_cli.export import TrialTable

Format = Literal["csv", "json", "parquet"]


def trials(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A results folder.")],
    *,
    output: Annotated[Format, typer.Option("--output", "-o", help="Format of the table.")] = "csv",
    to: Annotated[Path | None, typer.Option(metavar="FILE", help="Where to write; else standard output.")] = None,
) -> None:
    """Export a results folder's trials as a table: `scaling fit` gives the same coefficients on either."""
    from scaling_cli.export import trial_table
    from scaling_cli.results import current_records, open_results

    results = open_results(folder)
    treatment = results.experiment.spec.sweep.data.treatments[0].name
    table = trial_table(current_records(results), treatment=treatment)
    if output == "parquet" and to is None and sys.stdout.isatty():
        raise CommandError("Parquet is not for a terminal; name a file with --to, or redirect the output.")
    try:
        _write(table, output, to)
    except OSError as error:
        if to is None:
            raise
        raise CommandError(f"{to}: cannot be written: {error.strerror}.") from None


def _write(table: "TrialTable", output: Format, to: Path | None) -> None:
    from scaling_cli.export import write_csv, write_json, write_parquet

    if output == "parquet":
        with to.open("wb") if to else sys.stdout.buffer as stream:
            write_parquet(table, stream)
        return
    write = write_csv if output == "csv" else write_json
    if to is None:
        write(table, sys.stdout)
        return
    with to.open("w", encoding="utf-8", newline="") as text:
        write(table, text)
