import gzip
import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest
from cli_testing import write

from scaling_cli.errors import CommandError
from scaling_cli.tables import sources
from scaling_cli.tables.points import TableOptions, TablePoints, read_points
from scaling_cli.tables.sources import open_rows

ROWS = [
    {"params": 10_000, "tokens": 5e5, "val_loss": 2.5, "corpus": "web"},
    {"params": 20_000, "tokens": 1e6, "val_loss": 2.25, "corpus": "code, mostly"},
    {"params": 30_000, "tokens": 2e6, "val_loss": 0.1 + 0.2, "corpus": "web"},
]


def as_csv(delimiter: str = ",") -> str:
    lines = [delimiter.join(ROWS[0])]
    lines += [delimiter.join(f'"{v}"' if isinstance(v, str) else repr(v) for v in row.values()) for row in ROWS]
    return "\n".join(lines) + "\n"


def read(path: Path, form: str = "Chinchilla", **options: Any) -> TablePoints:
    with open_rows(str(path)) as source:
        return read_points(source, form, TableOptions(**options), name=path.name)


def parquet() -> bytes:
    stream = io.BytesIO()
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(ROWS), stream)
    return stream.getvalue()


FORMATS: Mapping[str, bytes] = {
    "csv": as_csv().encode(),
    "semicolons": as_csv(";").encode(),
    "tabs": as_csv("\t").encode(),
    "bars": as_csv("|").encode(),
    "mark": b"\xef\xbb\xbf" + as_csv().encode(),
    "windows": as_csv().replace("\n", "\r\n").encode(),
    "blank lines": ("\n" + as_csv().replace("\n", "\n\n")).encode(),
    "gzip": gzip.compress(as_csv().encode()),
    "json lines": "\n".join(map(json.dumps, ROWS)).encode(),
    "json": json.dumps(ROWS, indent=1).encode(),
    "parquet": parquet(),
}


@pytest.mark.parametrize("kind", FORMATS)
def test_every_format_is_told_by_its_content_and_read_exactly(tmp_path: Path, kind: str) -> None:
    table = read(write(tmp_path, FORMATS[kind], "table.txt"), "Linear", features=("log(N)", "corpus"))
    assert table.points.N.tolist() == [10_000, 20_000, 30_000]
    assert table.points.D.tolist() == [5e5, 1e6, 2e6]
    assert table.points.loss.tolist() == [2.5, 2.25, 0.1 + 0.2]
    assert table.points.features["corpus"].tolist() == ["web", "code, mostly", "web"]
    assert dict(table.columns) == {"N": "params", "D": "tokens", "loss": "val_loss", "corpus": "corpus"}


@pytest.mark.parametrize(
    ("header", "roles"),
    [
        ("Model Size,Training FLOP,loss", {"N": "Model Size", "C": "Training FLOP", "loss": "loss"}),
        ("n_params,n_tokens,eval_loss", {"N": "n_params", "D": "n_tokens", "loss": "eval_loss"}),
        ("N,params,D,loss", {"N": "N", "D": "D", "loss": "loss"}),
        (
            "num_parameters,training-tokens,val-loss",
            {"N": "num_parameters", "D": "training-tokens", "loss": "val-loss"},
        ),
    ],
)
def test_usual_names_are_understood(tmp_path: Path, header: str, roles: dict[str, str]) -> None:
    cells = ",".join("123"[: len(header.split(","))] + "1" * (len(header.split(",")) - 3))
    assert dict(read(write(tmp_path, f"{header}\n{cells}\n")).columns) == roles


def test_tokens_come_from_compute_and_parameters_and_it_is_said(tmp_path: Path) -> None:
    table = read(write(tmp_path, "N,flops,loss\n10,600,2\n20,1200,1\n"))
    assert table.points.D.tolist() == [10.0, 10.0]
    assert table.notes[0] == "D (training tokens) is C/(6N), with C = 'flops'."
    swapped = read(write(tmp_path, "D,C,loss\n10,600,2\n"))
    assert swapped.points.N.tolist() == [10.0]


def test_columns_that_are_named_win_and_may_hold_commas(tmp_path: Path) -> None:
    from scaling_cli.tables.columns import parse_columns

    given = parse_columns("n=N, with head,D=tokens,loss=c4=val,weight=w,cluster=run")
    assert given == {"N": "N, with head", "D": "tokens", "loss": "c4=val", "weight": "w", "cluster": "run"}
    text = '"N, with head",tokens,c4=val,w,run,loss\n1,2,3,2,b,9\n2,3,4,1,a,9\n3,4,5,1,b,9\n'
    points = read(write(tmp_path, text), columns=given).points
    assert points.loss.tolist() == [3, 4, 5]
    assert points.weights is not None
    assert points.weights.tolist() == [2, 1, 1]
    assert points.clusters is not None
    assert points.clusters.tolist() == [1, 0, 1]


def test_rows_are_chosen_by_conditions(tmp_path: Path) -> None:
    text = "N,D,loss,data\n1,1,5,c4\n2,2,4,web\n3,3,nan,c4\n4,4,3,c4\n"
    table = read(write(tmp_path, text), where=("loss<5", "data=c4"))
    assert table.points.N.tolist() == [4]
    assert table.notes[0] == "1 of 4 rows meet loss<5 and data=c4."


def test_a_linear_law_needs_neither_parameters_nor_tokens(tmp_path: Path) -> None:
    text = "loss,gnp,year\n60.3,234.2,1947\n61.1,259.4,1948\n"
    table = read(write(tmp_path, text), "Linear", features=("gnp", "log(year)"))
    assert set(table.points.features) == {"gnp", "year"}
    assert table.points.features["year"].dtype == np.float64


def test_a_thousand_rows_and_more_are_streamed(tmp_path: Path) -> None:
    text = "N,D,loss\n" + "".join(f"{i},{2 * i},{1 / i!r}\n" for i in range(1, 20_001))
    points = read(write(tmp_path, text)).points
    assert len(points) == 20_000
    assert points.loss[-1] == 1 / 20_000


REFUSED = {
    "empty": ("", "the file is empty."),
    "only a header": ("N,D,loss\n", "the table has no rows."),
    "no header": ("1,2,3\n4,5,6\n", ":1: the first row holds numbers; put a header"),
    "ragged": ("N,D,loss\n1,2,3\n1,2\n", ":3: this row has 2 cells and the header 3"),
    "text": ("N,D,loss\n1,2,3\n1,2,oops\n1,2,?\n", "2 of 3 rows have no usable 'loss' (the first: line 3 has 'oops'"),
    "nan": ("N,D,loss\n1,2,nan\n", "line 2 has nan, which is not finite"),
    "infinite": ("N,D,loss\n1,inf,3\n", "'D' (the first: line 2 has inf, which is not finite"),
    "zero": ("N,D,loss\n0,2,3\n", "line 2 has 0, which is not positive"),
    "gap": ("N,D,loss\n1,,3\n", "line 2 is empty"),
    "two columns": ("N,N,D,loss\n1,2,3,4\n", "the column 'N' is there 2 times; rename one."),
    "ambiguous": ("N,D,val_loss,test_loss\n1,2,3,4\n", "several columns may be loss (held-out loss): val_loss, test"),
    "unknown": ("a,b,loss\n1,2,3\n", "no column looks like N (parameters), D (training tokens). loss is 'loss'"),
    "broken json": ('{"N": 1\n', ":1: this line is not JSON"),
    "json list of numbers": ("[1, 2]", "expected a list of objects; item 1 is none."),
    "no objects": ("[]", "the table has no rows."),
    "open quote": ('N,D,loss\n"1,2,3\n' + "4,5,6\n" * 30_000, "cannot be read as CSV"),
}  # fmt: skip


@pytest.mark.parametrize("kind", REFUSED)
def test_unusable_tables_are_one_sentence(tmp_path: Path, kind: str) -> None:
    text, message = REFUSED[kind]
    with pytest.raises(CommandError) as caught:
        read(write(tmp_path, text, "t.csv"))
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_unusable_rows_can_be_left_out(tmp_path: Path) -> None:
    table = read(write(tmp_path, "N,D,loss\n1,2,3\n2,3,nan\n,4,5\n5,6,7\n"), drop_invalid=True)
    assert table.points.N.tolist() == [1, 5]
    assert table.notes[0].startswith("2 of 4 rows are left out: ")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"PK\x03\x04rest", "spreadsheet or an archive"),
        ("N,D,loss\n".encode("utf-16"), "neither UTF-8 text nor Parquet"),
        ("N,D,loss,naïve\n1,2,3,4\n".encode("latin-1"), "not UTF-8 text"),
        (b"PAR1" + b"x" * 100, "the Parquet file is damaged"),
        (gzip.compress(as_csv().encode())[:-20], "damaged or cut off"),
    ],
    ids=["archive", "utf-16", "latin-1", "parquet", "gzip"],
)
def test_other_files_are_told_apart(tmp_path: Path, content: bytes, message: str) -> None:
    with pytest.raises(CommandError, match=message):
        read(write(tmp_path, content, "t.csv"))


def test_training_curves_are_refused_for_their_length(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from scaling_cli.tables import points

    assert sources.MAX_ROWS == 1_000_000
    monkeypatch.setattr(points, "MAX_ROWS", 3)
    with pytest.raises(CommandError, match=r"more than 3 rows\. A law is fitted on one row a model"):
        read(write(tmp_path, "N,D,loss\n" + "1,2,3\n" * 4))


@pytest.mark.parametrize("text", ["N", "N=", "=x", "N=a,N=b", "1x=y"])
def test_columns_that_cannot_be_read_are_refused(text: str) -> None:
    from scaling_cli.tables.columns import parse_columns

    with pytest.raises(CommandError, match="--columns"):
        parse_columns(text)


def test_one_column_is_not_two_quantities_of_a_model(tmp_path: Path) -> None:
    path = write(tmp_path, as_csv(), "table.csv")
    with pytest.raises(CommandError, match=r"'params' cannot be both N \(parameters\) and D"):
        read(path, columns={"N": "params", "D": "params"})
    assert read(path, columns={"N": "params", "cluster": "params"}).points.clusters is not None


def test_a_count_of_parameters_that_a_table_does_not_know_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="--parameters total is for results folders"):
        read(write(tmp_path, as_csv(), "table.csv"), parameters="total")
