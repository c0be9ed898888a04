"""Row filters such as `loss<5` or `dataset=c4`."""

import operator
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from scaling_cli.errors import CommandError

_COMPARISONS: dict[str, Callable[[float, float], bool]] = {
    "<=": operator.le, ">=": operator.ge, "!=": operator.ne, "<": operator.lt, ">": operator.gt, "=": operator.eq,
}  # fmt: skip


@dataclass(frozen=True)
class Condition:
    """What a row must meet to be kept."""

    column: str
    comparison: str
    value: str

    def keeps(self, cell: object) -> bool:
        """Whether the row stays: numbers compare as numbers, text for equality only."""
        left, right = as_number(cell), as_number(self.value)
        if left is not None and right is not None:
            return _COMPARISONS[self.comparison](left, right)
        if self.comparison in {"=", "!="}:
            same = str("" if cell is None else cell).strip() == self.value
            return same == (self.comparison == "=")
        return False


def parse_condition(text: str, header: Sequence[str], *, source: str) -> Condition:
    """Return the condition that `text` writes.

    Raises:
        CommandError: it is none, or names no column of the table.
    """
    match = re.fullmatch(r"\s*(.+?)\s*(<=|>=|!=|==|<|>|=)\s*(.*?)\s*", text)
    if match is None or not match[1]:
        raise CommandError(f"--where: cannot read {text!r}; write a condition such as loss<5 or dataset=c4.")
    column, comparison, value = match[1], match[2].replace("==", "="), match[3].strip("'\"")
    if column not in header:
        raise CommandError(f"{source}: --where {text}: there is no column {column!r}.")
    if comparison not in {"=", "!="} and as_number(value) is None:
        raise CommandError(f"--where {text}: {comparison} compares numbers, and {value!r} is none.")
    return Condition(column, comparison, value)


def as_number(cell: object) -> float | None:
    """Return the number in a cell, not-a-number included; None where it holds none."""
    if isinstance(cell, bool) or cell is None:
        return None
    if isinstance(cell, int | float | str):
        try:
            return float(cell)
        except (ValueError, OverflowError):
            return None
    try:
        return float(cell)  # type: ignore[arg-type]  # decimals of Parquet
    except (TypeError, ValueError):
        return None
