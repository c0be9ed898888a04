"""Rows of a file, one at a time: delimited text, JSON lines, a JSON array, Parquet."""

import gzip
import json
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from io import BufferedReader, TextIOWrapper
from itertools import chain, islice
from pathlib import Path
from typing import IO, Any, Protocol, TypeAlias, cast

from scaling_cli.errors import CommandError
from scaling_cli.streams import standard_input
from scaling_cli.tables.delimited import DelimitedRows

MAX_ROWS = 1_000_000
"""Of a table. A law needs hundreds; a million rows are almost surely training curves, not results."""
MAX_JSON_BYTES = 256 * 2**20
"""Of a JSON array, which is read as a whole."""
_HEADER_ROWS = 100

Row: TypeAlias = tuple[int, Sequence[object]]


class RowSource(Protocol):
    """A table that is read once, row by row."""

    header: tuple[str, ...]
    row_word: str
    """What a row's number counts: line or row."""

    def rows(self, columns: Sequence[str]) -> Iterator[Row]:
        """Return each row's number, from 1, and its cells in the order of `columns`."""


@contextmanager
def open_rows(table: str) -> Iterator[RowSource]:
    """Open a table, whatever its format, which is told by its content; `-` is standard input.

    Raises:
        CommandError: it does not exist, cannot be read, or is none of the formats.
    """
    name = "standard input" if table == "-" else table
    try:
        with _open_bytes(table) as stream, _as_text(stream) as lines:
            yield _source(stream, lines, path=table, name=name)
    except FileNotFoundError:
        raise CommandError(f"{name}: there is no such file.") from None
    except UnicodeDecodeError as error:
        raise CommandError(f"{name}: this is not UTF-8 text ({error.reason}); save it as UTF-8.") from None
    except (gzip.BadGzipFile, EOFError, zlib.error):
        raise CommandError(f"{name}: the gzip file is damaged or cut off.") from None
    except OSError as error:
        raise CommandError(f"{name}: cannot be read: {error.strerror or error}.") from None


@contextmanager
def _open_bytes(table: str) -> Iterator[BufferedReader]:
    if table == "-":
        yield standard_input()
        return
    with Path(table).open("rb") as stream:
        if stream.peek(2)[:2] == b"\x1f\x8b":
            with gzip.open(stream) as unpacked:
                yield cast(BufferedReader, unpacked)
        else:
            yield stream


@contextmanager
def _as_text(stream: BufferedReader) -> Iterator[TextIOWrapper]:
    lines = TextIOWrapper(cast(IO[bytes], stream), encoding="utf-8-sig", newline="")
    try:
        yield lines
    finally:
        lines.detach()  # the stream is closed by whom it belongs to


def _source(stream: BufferedReader, lines: TextIOWrapper, *, path: str, name: str) -> RowSource:
    start = stream.peek(4096)[:4096]
    if start[:4] == b"PAR1":
        from scaling_cli.tables.parquet import ParquetRows

        return ParquetRows(path, name=name)
    if start[:2] == b"PK":
        raise CommandError(f"{name}: this is a spreadsheet or an archive; export the table as CSV.")
    if b"\0" in start:
        raise CommandError(f"{name}: this is neither UTF-8 text nor Parquet; save the table as CSV in UTF-8.")
    text = start.decode("utf-8", errors="replace").lstrip("\ufeff \t\r\n")
    if not text:
        raise CommandError(f"{name}: the file is empty.")
    if text[0] == "[":
        return ObjectRows(_array(lines, name=name), row_word="row", name=name)
    if text[0] == "{":
        return ObjectRows(_json_lines(lines, name=name), row_word="line", name=name)
    return DelimitedRows(lines, name=name)


class ObjectRows:
    """JSON objects as rows; nested ones have columns such as `metrics.loss`."""

    def __init__(self, objects: Iterator[tuple[int, dict[str, Any]]], *, row_word: str, name: str) -> None:
        first = list(islice(objects, _HEADER_ROWS))
        if not first:
            raise CommandError(f"{name}: the table has no rows.")
        self.header = tuple(dict.fromkeys(key for _, fields in first for key in fields))
        self.row_word = row_word
        self._objects = chain(first, objects)

    def rows(self, columns: Sequence[str]) -> Iterator[Row]:
        """Return the rows; a column that an object lacks is None."""
        for number, fields in self._objects:
            yield number, [fields.get(column) for column in columns]


def _json_lines(lines: Iterator[str], *, name: str) -> Iterator[tuple[int, dict[str, Any]]]:
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            fields = json.loads(line)
        except (ValueError, RecursionError) as error:
            hint = " A single JSON object is no table: write a list of objects, or one a line." if number == 1 else ""
            raise CommandError(f"{name}:{number}: this line is not JSON ({error}).{hint}") from None
        if not isinstance(fields, dict):
            raise CommandError(f"{name}:{number}: expected a JSON object on each line.")
        yield number, _flat(fields)


def _array(lines: TextIOWrapper, *, name: str) -> Iterator[tuple[int, dict[str, Any]]]:
    text = lines.read(MAX_JSON_BYTES + 1)
    if len(text) > MAX_JSON_BYTES:
        raise CommandError(f"{name}: larger than {MAX_JSON_BYTES // 2**20} MiB; write JSON lines, CSV or Parquet.")
    try:
        items = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise CommandError(f"{name}: this is not JSON ({error}).") from None
    for number, fields in enumerate(items, start=1):
        if not isinstance(fields, dict):
            raise CommandError(f"{name}: expected a list of objects; item {number} is none.")
        yield number, _flat(fields)


def _flat(fields: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in fields.items():
        flat |= _flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value}
    return flat
