"""CSV and its relatives: any of four delimiters, quoted cells, a header, a byte-order mark."""

import csv
from collections.abc import Iterator, Sequence
from itertools import chain, islice

from scaling_cli.errors import CommandError

_DELIMITERS = (",", "\t", ";", "|")
_SAMPLE_LINES = 50


class DelimitedRows:
    """Rows of delimited text, read as they are asked for."""

    row_word = "line"

    def __init__(self, lines: Iterator[str], *, name: str) -> None:
        sample = list(islice(lines, _SAMPLE_LINES))
        self._name = name
        self._delimiter = _delimiter(sample)
        self._reader = csv.reader(chain(sample, lines), delimiter=self._delimiter, skipinitialspace=True)
        self.header = self._read_header()

    def rows(self, columns: Sequence[str]) -> Iterator[tuple[int, Sequence[object]]]:
        """Return the rows, those without any cell left out; empty cells beyond the header do not count.

        Raises:
            CommandError: a row has more or fewer cells than the header, or its quotes do not close.
        """
        places = [self.header.index(column) for column in columns]
        width = len(self.header)
        for cells in self._cells():
            if not any(cell.strip() for cell in cells):
                continue
            if len(cells) < width or any(cell.strip() for cell in cells[width:]):
                raise CommandError(self._wrong_width(cells))
            yield self._reader.line_num, [cells[place] for place in places]

    def _wrong_width(self, cells: Sequence[str]) -> str:
        found = f"{self._name}:{self._reader.line_num}: this row has {len(cells)} cells and the header"
        why = f"the delimiter is {self._delimiter!r}"
        if any("\n" in cell or "\r" in cell for cell in cells):
            why += "; a quote before it may not be closed"
        elif self._delimiter == "," and len(cells) > len(self.header):
            why += "; numbers with a decimal comma, and text with commas, need quotes or another delimiter"
        return f"{found} {len(self.header)} ({why})."

    def _read_header(self) -> tuple[str, ...]:
        header = next((cells for cells in self._cells() if any(cell.strip() for cell in cells)), None)
        if header is None:
            raise CommandError(f"{self._name}: the file is empty.")
        if all(_is_number(cell) for cell in header):
            raise CommandError(
                f"{self._name}:{self._reader.line_num}: the first row holds numbers; put a header with the columns' "
                "names above it."
            )
        return tuple(cell.strip() for cell in header)

    def _cells(self) -> Iterator[list[str]]:
        try:
            yield from self._reader
        except csv.Error as error:
            raise CommandError(f"{self._name}:{self._reader.line_num}: cannot be read as CSV: {error}.") from None


def _delimiter(sample: Sequence[str]) -> str:
    """Return the delimiter that cuts most rows into as many cells as the first, the more the better."""
    return max(_DELIMITERS, key=lambda delimiter: _agreement(sample, delimiter))


def _agreement(sample: Sequence[str], delimiter: str) -> tuple[float, int]:
    try:
        rows = [row for row in csv.reader(sample, delimiter=delimiter, skipinitialspace=True) if row]
    except csv.Error:
        return 0.0, 0
    width = len(rows[0]) if rows else 0
    if width < 2:
        return 0.0, 0
    return sum(len(row) == width for row in rows) / len(rows), width


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True
