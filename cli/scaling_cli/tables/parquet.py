"""Parquet, of which only the columns in use are read."""

from collections.abc import Iterator, Sequence

import pyarrow
import pyarrow.parquet

from scaling_cli.errors import CommandError


class ParquetRows:
    """Rows of a Parquet file, in batches."""

    row_word = "row"

    def __init__(self, path: str, *, name: str) -> None:
        if path == "-":
            raise CommandError("Parquet cannot be read from standard input; name the file.")
        try:
            self._file = pyarrow.parquet.ParquetFile(path)
        except (pyarrow.ArrowException, OSError) as error:
            raise CommandError(f"{name}: the Parquet file is damaged ({str(error).splitlines()[0]}).") from None
        self.header: tuple[str, ...] = tuple(self._file.schema_arrow.names)

    def rows(self, columns: Sequence[str]) -> Iterator[tuple[int, Sequence[object]]]:
        """Return the rows; a null is None."""
        number = 0
        for batch in self._file.iter_batches(columns=list(dict.fromkeys(columns))):
            table = {name: batch.column(name).to_pylist() for name in set(columns)}
            for cells in zip(*(table[column] for column in columns), strict=True):
                number += 1
                yield number, cells
