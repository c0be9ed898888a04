"""The one look of all tables."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.table import Table


def new_table(*columns: str, left: Sequence[str] = (), title: str | None = None) -> "Table":
    """Return an empty table; numbers stand to the right, the columns named in `left` to the left."""
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, title=title, title_style="bold", title_justify="left", header_style="bold")
    table.pad_edge = False
    for column in columns:
        longest = max(map(len, column.split()), default=0)  # a header may break between words, never inside one
        table.add_column(column, justify="left" if column in left else "right", overflow="fold", min_width=longest)
    return table
