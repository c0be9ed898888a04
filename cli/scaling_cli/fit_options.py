"""The options of `scaling fit`."""

from typing import Annotated, Literal, TypeAlias

import typer

LossName = Literal["log-huber", "huber", "log-mse", "mse", "log-t", "t", "log-huber-density", "huber-density"]
METHOD_NAMES = (
    "wild", "cv3", "pairs", "cluster-pairs", "bca", "hessian", "sandwich", "profile", "hc3", "least-squares",
)  # fmt: skip
"""Of methods of intervals."""
Parameters = Literal["matmul", "blocks", "total"]

TableArgument: TypeAlias = Annotated[
    str, typer.Argument(help="CSV, JSON lines, JSON or Parquet, a results folder, or - for standard input.")
]
FormOption: TypeAlias = Annotated[
    str, typer.Option(help="The law: Chinchilla, Linear, ..., or an expression: 'loss = E + A/N^alpha'.")
]
ColumnsOption: TypeAlias = Annotated[
    str, typer.Option(metavar="N=...,D=...,loss=...", help="Which column is which; else their names decide.")
]
UnitsOption: TypeAlias = Annotated[
    str, typer.Option(metavar="N=M,D=B,...", help="What columns count in; else their headers decide.")
]
LossOption: TypeAlias = Annotated[
    LossName | None,
    typer.Option(help="What is minimised, of residuals of log loss or of loss; most forms: log-huber."),
]
DeltaOption: TypeAlias = Annotated[float, typer.Option(help="Where Huber's loss turns linear.")]
BootstrapOption: TypeAlias = Annotated[int, typer.Option(help="Draws behind the intervals; 0 leaves them out.")]
LevelOption: TypeAlias = Annotated[float, typer.Option(help="Of the intervals.")]
SeedOption: TypeAlias = Annotated[int, typer.Option(help="Of the draws.")]
FeaturesOption: TypeAlias = Annotated[
    str, typer.Option(metavar="X,log(Y),...", help="Linear: columns; text ones become dummies. Mixing: shares.")
]
FixOption: TypeAlias = Annotated[
    list[str] | None, typer.Option(metavar="E=1.7,...", help="Coefficients that are held at a value; may be repeated.")
]
WhereOption: TypeAlias = Annotated[
    list[str] | None, typer.Option(metavar="COLUMN<VALUE", help="Keep rows that meet this; may be repeated.")
]
DropInvalidOption: TypeAlias = Annotated[
    bool, typer.Option("--drop-invalid", help="Leave out rows with unusable cells.")
]
ParametersOption: TypeAlias = Annotated[Parameters, typer.Option(help="What N counts, for a results folder.")]
TrainingFlopsOption: TypeAlias = Annotated[
    list[float] | None, typer.Option(metavar="C", help="Ask for the compute-optimal N and D; may be repeated.")
]
IntervalsOption: TypeAlias = Annotated[
    str | None,
    typer.Option(metavar="|".join(METHOD_NAMES), help="How intervals are made; by default what suits the table."),
]
FactorsOption: TypeAlias = Annotated[
    str, typer.Option(metavar="compute=X,...;data=...", help="Linear: columns of factors whose names do not tell.")
]
CompareOption: TypeAlias = Annotated[
    list[str] | None, typer.Option(metavar="FORM", help="Another form to set beside this one; may be repeated.")
]
PredictOption: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        metavar="N=...,D=...", help="Expect a model's loss, or N=...,loss=... for the D it takes; may be repeated."
    ),
]
AttributeOption: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(metavar="'N=... -> N=...'", help="What is due to what between two models; may be repeated."),
]
NextFlopsOption: TypeAlias = Annotated[
    float | None, typer.Option(metavar="FLOPS", help="Which trials to add for so much, to know L(10 C) better.")
]
DocumentsOption: TypeAlias = Annotated[
    bool, typer.Option("--documents", help="Of a results folder: intervals also take other held-out documents.")
]
JsonOption: TypeAlias = Annotated[bool, typer.Option("--json", help="Print JSON at full precision.")]
