"""`scaling fit`."""

import sys
from typing import TYPE_CHECKING

import typer

from scaling_cli.errors import CommandError, ExitCode
from scaling_cli.fit_options import (
    AttributeOption,
    BootstrapOption,
    ColumnsOption,
    CompareOption,
    DeltaOption,
    DocumentsOption,
    DropInvalidOption,
    FactorsOption,
    FeaturesOption,
    FixOption,
    FormOption,
    IntervalsOption,
    JsonOption,
    LevelOption,
    LossOption,
    NextFlopsOption,
    ParametersOption,
    PredictOption,
    SeedOption,
    TableArgument,
    TrainingFlopsOption,
    UnitsOption,
    WhereOption,
)

if TYPE_CHECKING:
    from scaling_cli.fit_request import FitRequest


def fit(  # noqa: PLR0913  # one argument an option; typer reads them off the signature, and their values are in `ctx`
    ctx: typer.Context,
    table: TableArgument,
    *,
    form: FormOption,
    columns: ColumnsOption = "",
    units: UnitsOption = "",
    loss: LossOption = None,
    delta: DeltaOption = 1e-3,
    bootstrap: BootstrapOption = 1000,
    level: LevelOption = 0.95,
    seed: SeedOption = 0,
    features: FeaturesOption = "",
    fix: FixOption = None,
    where: WhereOption = None,
    drop_invalid: DropInvalidOption = False,
    parameters: ParametersOption = "matmul",
    training_flops: TrainingFlopsOption = None,
    intervals: IntervalsOption = None,
    factors: FactorsOption = "",
    compare: CompareOption = None,
    predict: PredictOption = None,
    attribute: AttributeOption = None,
    next_flops: NextFlopsOption = None,
    documents: DocumentsOption = False,
    as_json: JsonOption = False,
) -> None:
    """Fit a law to a table of models: coefficients with intervals, and whether they can be trusted."""
    from scaling_cli.fit_request import FitRequest

    given = {name: value for name, value in ctx.params.items() if name != "as_json" and value is not None}
    _run(FitRequest(**given), as_json=as_json)


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
    else:
        console = output()
        for block in report_blocks(report):
            console.print(block)
    if any(answer.refused for answer in report.answers):
        raise typer.Exit(ExitCode.LAW_REFUSED)
