"""`scaling trials`."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from scaling_cli.cluster.options import ClusterOptions, ContextOption, KubeconfigOption, NamespaceOption
from scaling_cli.errors import CommandError

if TYPE_CHECKING:
    from scaling_api.v1alpha1.trial import TrialRecord
    from scaling_cli.export import TrialTable

Format = Literal["table", "csv", "json", "parquet"]


def trials(  # noqa: PLR0913  # one argument an option
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME|DIR", help="An experiment on a cluster, or a results folder.")],
    *,
    output: Annotated[
        Format | None, typer.Option("--output", "-o", help="Format; on a terminal table, elsewhere csv.")
    ] = None,
    to: Annotated[Path | None, typer.Option(metavar="FILE", help="Where to write; else standard output.")] = None,
    state: Annotated[
        str, typer.Option(metavar="STATE,...", help="Only trials in these states, such as Running,Interrupted.")
    ] = "",
    failed: Annotated[bool, typer.Option("--failed", help="Only trials that failed or diverged.")] = False,
    where: Annotated[
        list[str] | None, typer.Option(metavar="COLUMN<VALUE", help="Only rows that meet this; may be repeated.")
    ] = None,
    kubeconfig: KubeconfigOption = None,
    context: ContextOption = None,
    namespace: NamespaceOption = None,
) -> None:
    """Show or export trials: states, attempts, losses. `scaling fit` on an export gives the same coefficients."""
    options = ClusterOptions.of(ctx, kubeconfig=kubeconfig, context=context, namespace=namespace)
    chosen = output or ("table" if to is None and sys.stdout.isatty() else "csv")
    if chosen == "parquet" and to is None and sys.stdout.isatty():
        raise CommandError("Parquet is not for a terminal; name a file with --to, or redirect the output.")
    if chosen == "table" and to is not None:
        raise CommandError(f"A table is for people; for {to} choose -o csv, json or parquet.")
    states = _states(state, failed=failed)
    records, treatment = _records(name, options, states=states if chosen == "table" and not where else frozenset())
    table = _selected(records, treatment, states=states, where=where or ())
    if chosen == "table":
        _show(records, table, is_filtered=bool(states or where))
        return
    try:
        _write(table, chosen, to)
    except OSError as error:
        if to is None:
            raise
        raise CommandError(f"{to}: cannot be written: {error.strerror}.") from None


def _states(text: str, *, failed: bool) -> frozenset[str]:
    """Return the states that are asked for; none where all are."""
    from scaling_api.v1alpha1.status import TrialState

    known = {state.value.lower(): state.value for state in TrialState}
    asked = [word.strip() for word in text.split(",") if word.strip()]
    if unknown := [word for word in asked if word.lower() not in known]:
        raise CommandError(f"--state {unknown[0]}: the states are {', '.join(known.values())}.")
    return frozenset([*(known[word.lower()] for word in asked), *(("Failed", "Diverged") if failed else ())])


def _records(name: str, options: ClusterOptions, *, states: frozenset[str]) -> "tuple[tuple[TrialRecord, ...], str]":
    """Return the trials, and the treatment that dense laws are fitted on."""
    from scaling_cli.cluster.naming import means_folder_alone

    if means_folder_alone(name, options):
        from scaling_cli.results import current_records, open_results

        results = open_results(Path(name))
        return current_records(results), results.experiment.spec.sweep.data.treatments[0].name
    from scaling_cli.cluster.results import read_results

    found = read_results(name, options, states=states)
    return found.records, found.treatment


def _selected(
    records: "Sequence[TrialRecord]", treatment: str, *, states: frozenset[str], where: Sequence[str]
) -> "TrialTable":
    from dataclasses import replace

    from scaling_cli.export import trial_table
    from scaling_cli.tables.where import parse_condition

    table = trial_table(records, treatment=treatment)
    conditions = [parse_condition(text, table.header, source="the trials") for text in where]
    place = {column: index for index, column in enumerate(table.header)}
    rows = [row for row in table.rows if not states or row[place["state"]] in states]
    rows = [row for row in rows if all(c.keeps(row[place[c.column]]) for c in conditions)]
    return replace(table, rows=tuple(rows))


def _show(records: "Sequence[TrialRecord]", table: "TrialTable", *, is_filtered: bool) -> None:
    from scaling_cli.show.console import messages, output
    from scaling_cli.show.trial_rows import trial_rows

    by_id = {record.spec.id: record for record in records}
    shown = [by_id[str(row[0])] for row in table.rows]
    if not shown:
        messages().print("There are no such trials." if is_filtered else "There are no trials yet.")
        return
    console = output()
    console.print(trial_rows(shown, width=console.width))


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
