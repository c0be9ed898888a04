"""Models as the command line writes them: `N=1e9,D=20B,treatment=clean`."""

from scaling_cli.errors import CommandError
from scaling_cli.tables.cells import as_count
from scaling_cli.tables.quantities import as_quantity
from scaling_cli.tables.where import as_number


def parse_model(text: str, option: str) -> dict[str, float | str]:
    """Return the quantities that a text names; what is no number is the name of a level.

    Raises:
        CommandError: it is no list of names and values.
    """
    model: dict[str, float | str] = {}
    for part in (part for part in text.split(",") if part.strip()):
        name, equals, value = (piece.strip() for piece in part.partition("="))
        if not (name and equals and value) or name in model:
            raise CommandError(f"{option}: cannot read {part.strip()!r}; write a model as N=1e9,D=2e10.")
        number = as_number(value)
        if number is None and name in {"N", "D", "C"}:
            number = as_count(value)
        if name in {"N", "D", "C", "loss"} and not (number is not None and 0 < number < float("inf")):
            raise CommandError(f"{option}: {name} must be a positive number, not {value}.")
        model[name] = value if number is None else number
    if not model:
        raise CommandError(f"{option}: there is no model in {text!r}; write one as N=1e9,D=2e10.")
    return model


def parse_change(text: str) -> tuple[dict[str, float | str], dict[str, float | str]]:
    """Return the two models of `N=1e8,D=2e9 -> N=1e9,D=2e10`.

    Raises:
        CommandError: there are not two.
    """
    start, arrow, end = text.partition("->")
    if not arrow:
        raise CommandError("--attribute: write two models, such as 'N=1e8,D=2e9 -> N=1e9,D=2e10'.")
    return parse_model(start, "--attribute"), parse_model(end, "--attribute")


def in_numbers(model: dict[str, float | str]) -> dict[str, float | str]:
    """Return a model with its bits and shares as numbers, written as tables may have them: int4, 50%."""
    read = {name: as_quantity(name, value) for name, value in model.items() if isinstance(value, str)}
    return {**model, **{name: number for name, number in read.items() if number is not None}}


def parse_factors(text: str) -> dict[str, tuple[str, ...]]:
    """Return the columns of each factor that `compute=log(C),workers; data=log(D)` names.

    Raises:
        CommandError: it is no such list.
    """
    factors: dict[str, tuple[str, ...]] = {}
    for part in (part for part in text.split(";") if part.strip()):
        name, equals, columns = (piece.strip() for piece in part.partition("="))
        named = tuple(column.strip() for column in columns.split(",") if column.strip())
        if not (name and equals and named):
            raise CommandError(
                f"--factors: cannot read {part.strip()!r}; write it as compute=log(C),workers;data=log(D)."
            )
        factors[name] = named
    return factors
