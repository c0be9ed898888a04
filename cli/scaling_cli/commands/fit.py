"""`scaling fit`."""

import sys
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from scaling_cli.errors import CommandError, ExitCode

if TYPE_CHECKING:
    from scaling_cli.fitting import FitRequest

LossName = Literal["log-huber", "huber", "log-mse", "mse", "log-t", "t", "log-huber-density", "huber-density"]
METHODS = "wild|cv3|pairs|cluster-pairs|bca|hessian|sandwich|profile|hc3|least-squares"
Parameters = Literal["matmul", "blocks", "total"]


def fit(  # noqa: PLR0913  # one argument an option
    table: Annotated[
        str, typer.Argument(help="CSV, JSON lines, JSON or Parquet, a results folder, or - for standard input.")
    ],
    *,
    form: Annotated[
        str, typer.Option(help="The law: Chinchilla, Linear, ..., or an expression: 'loss = E + A/N^alpha'.")
    ],
    columns: Annotated[
        str, typer.Option(metavar="N=...,D=...,loss=...", help="Which column is which; else their names decide.")
    ] = "",
    loss: Annotated[
        LossName | None,
        typer.Option(help="What is minimised, of residuals of log loss or of loss; most forms: log-huber."),
    ] = None,
    delta: Annotated[float, typer.Option(help="Where Huber's loss turns linear.")] = 1e-3,
    bootstrap: Annotated[int, typer.Option(help="Draws behind the intervals; 0 leaves them out.")] = 1000,
    level: Annotated[float, typer.Option(help="Of the intervals.")] = 0.95,
    seed: Annotated[int, typer.Option(help="Of the draws.")] = 0,
    features: Annotated[
        str, typer.Option(metavar="X,log(Y),...", help="Linear: columns; text ones become dummies. Mixing: shares.")
    ] = "",
    fix: Annotated[str, typer.Option(metavar="E=1.7,...", help="Coefficients that are held at a value.")] = "",
    where: Annotated[
        list[str] | None, typer.Option(metavar="COLUMN<VALUE", help="Keep rows that meet this; may be repeated.")
    ] = None,
    drop_invalid: Annotated[bool, typer.Option("--drop-invalid", help="Leave out rows with unusable cells.")] = False,
    parameters: Annotated[Parameters, typer.Option(help="What N counts, for a results folder.")] = "matmul",
    training_flops: Annotated[
        list[float] | None, typer.Option(metavar="C", help="Ask for the compute-optimal N and D; may be repeated.")
    ] = None,
    intervals: Annotated[
        str | None, typer.Option(metavar=METHODS, help="How intervals are made; by default what suits the table.")
    ] = None,
    factors: Annotated[
        str, typer.Option(metavar="compute=X,...;data=...", help="Linear: columns of factors whose names do not tell.")
    ] = "",
    compare: Annotated[
        list[str] | None, typer.Option(metavar="FORM", help="Another form to set beside this one; may be repeated.")
    ] = None,
    predict: Annotated[
        list[str] | None, typer.Option(metavar="N=...,D=...", help="Expect a model's loss; may be repeated.")
    ] = None,
    attribute: Annotated[
        list[str] | None,
        typer.Option(metavar="'N=... -> N=...'", help="What is due to what between two models; may be repeated."),
    ] = None,
    next_flops: Annotated[
        float | None, typer.Option(metavar="FLOPS", help="Which trials to add for so much, to know L(10 C) better.")
    ] = None,
    documents: Annotated[
        bool, typer.Option("--documents", help="Of a results folder: intervals also take other held-out documents.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON at full precision.")] = False,
) -> None:
    """Fit a law to a table of models: coefficients with intervals, and whether they can be trusted."""
    from scaling_cli.fitting import FitRequest

    request = FitRequest(
        table=table,
        form=form,
        columns=columns,
        loss=loss,
        delta=delta,
        draws=bootstrap,
        level=level,
        seed=seed,
        features=tuple(part.strip() for part in features.split(",") if part.strip()),
        fixed=fix,
        where=tuple(where or ()),
        drop_invalid=drop_invalid,
        parameters=parameters,
        training_flops=tuple(training_flops or ()),
        method=intervals,
        factors=factors,
        compare=tuple(compare or ()),
        predict=tuple(predict or ()),
        attribute=tuple(attribute or ()),
        next_flops=next_flops,
        with_documents=documents,
    )
    _run(request, as_json=as_json)


def _run(request: "FitRequest", *, as_json: bool) -> None:
    from scaling_cli.fitting import fit_table, refusal_as_json, report_as_json
    from scaling_cli.show.console import output
    from scaling_cli.show.fits import report_blocks
    from scaling_cli.show.json_text import json_text
    from scaling_laws.law import LawRefusedError

    try:
        report = fit_table(request)
    except LawRefusedError as refusal:
        if as_json:
            sys.stdout.write(json_text(refusal_as_json(request, refusal.finding)) + "\n")
        raise CommandError(
            f"{request.form} was refused ({refusal.finding.code}): {refusal.finding.message}",
            exit_code=ExitCode.LAW_REFUSED,
        ) from None
    if as_json:
        sys.stdout.write(json_text(report_as_json(report)) + "\n")
        return
    console = output()
    for block in report_blocks(report):
        console.print(block)
