"""Numbers as people's tables write them: read for what they are, or refused with the cause."""

from pathlib import Path

import pytest
from cli_testing import write

from scaling_cli.errors import CommandError
from scaling_cli.tables.points import TableOptions, TablePoints, read_points
from scaling_cli.tables.sources import open_rows

GROUPED = "10,000,000"


def read(path: Path) -> TablePoints:
    with open_rows(str(path)) as source:
        return read_points(source, "Chinchilla", TableOptions(), name=path.name)


@pytest.mark.parametrize(
    "cell",
    ["1e7", "10000000", "10M", "10m", "10 M", "0.01B", ".01b", "10_000_000", GROUPED, "10 000 000", "10'000'000"],
)
def test_counts_have_suffixes_and_groups(tmp_path: Path, cell: str) -> None:
    points = read(write(tmp_path, f"N;D;loss\n{cell};1T;3.5\n{cell};2.5k;3\n")).points
    assert points.N.tolist() == [1e7, 1e7]
    assert points.D.tolist() == [1e12, 2500]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("N;D;loss\n1e7;1e9;5,25\n", "'5,25', which is not a number: a comma alone may stand for decimals or"),
        ("N;D;loss\n1,234;1e9;5\n", "'1,234', which is not a number: a comma alone"),
        ("N;D;loss\n1e7;1e9;3M\n", "'3M', which is not a number"),
        ("N;D;loss\n1e7;1e9;52%\n", "'52%', which is not a number: write a percentage as a share"),
        ("N;D;loss\n12,34,567;1e9;5\n", "'12,34,567', which is not a number"),
        ("N,D,loss\n1e7,1e9,5,25\n", "4 cells and the header 3 (the delimiter is ','; numbers with a decimal comma"),
        (
            'N,D,loss\n"1e7,1e9,5\n1e7,1e9,5\n',
            ":3: this row has 1 cells and the header 3 (the delimiter is ','; a quote",
        ),
    ],
)
def test_what_is_no_number_is_refused_with_the_cause(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(CommandError) as caught:
        read(write(tmp_path, text))
    assert message in str(caught.value)


def test_empty_cells_at_the_end_and_rows_of_empty_cells_do_not_count(tmp_path: Path) -> None:
    points = read(write(tmp_path, "N,D,loss\n1,2,3,\n,,\n4,5,6,,\n , ,\n")).points
    assert points.loss.tolist() == [3, 6]
