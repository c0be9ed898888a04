"""Counts in thousands, millions and billions, and tables whose units make no sense."""

import csv
import json

import numpy as np
import pytest

from scaling_cli.errors import CommandError
from scaling_cli.tables.units import header_unit, parse_units, without_unit


@pytest.mark.parametrize(
    ("column", "unit", "rest"),
    [
        ("params_M", 1e6, "params"), ("tokens_B", 1e9, "tokens"), ("tokens (billions)", 1e9, "tokens"),
        ("params [M]", 1e6, "params"), ("Parameters (in millions)", 1e6, "Parameters"), ("N_millions", 1e6, "N"),
        ("params in millions", 1e6, "params"), ("tokens(T)", 1e12, "tokens"), ("flops (1e18)", 1e18, "flops"),
        ("flops_e18", 1e18, "flops"), ("compute (EFLOPs)", 1e18, "compute"), ("params", 1.0, "params"),
        ("param", 1.0, "param"), ("M", 1.0, "M"), ("dim", 1.0, "dim"), ("web", 1.0, "web"),
    ],
)  # fmt: skip
def test_headers_say_what_their_columns_count_in(column, unit, rest):
    assert (header_unit(column), without_unit(column)) == (unit, rest)


def test_units_are_given_as_suffixes_or_numbers():
    assert parse_units("N=M, D=1e9,C=EFLOPs") == {"N": 1e6, "D": 1e9, "C": 1e18}
    for mistake in ("N", "N=", "N=x", "loss=k", "N=-1", "D=nan"):
        with pytest.raises(CommandError, match="--units: cannot read"):
            parse_units(mistake)


@pytest.fixture
def fitted(scaling, tmp_path):
    """Fits a table of 30 models whose columns are told by their header and the divisor of each."""
    N, D = (x.ravel() for x in np.meshgrid(np.geomspace(4e7, 2e9, 6), np.geomspace(2e9, 6e10, 5), indexing="ij"))
    loss = 1.7 + 400 / N**0.34 + 410 / D**0.28
    known = {"N": N, "D": D, "C": 6 * N * D}

    def fit(*more, **headers):
        columns = {header: [f"{x / unit:.9g}" for x in known[role]] for role, (header, unit) in headers.items()}
        columns["loss"] = [repr(float(x)) for x in loss]
        path = tmp_path / "table.csv"
        with path.open("w", newline="") as file:
            csv.writer(file).writerows([columns, *zip(*columns.values(), strict=True)])
        return scaling(
            "fit", path, "--form", "Chinchilla", "--bootstrap", "0", "--training-flops", "1e21", "--json", *more
        )

    return fit


def optimum(result):
    assert result.exit_code == 0, result.stderr
    found = json.loads(result.stdout)
    return found["answers"][0]["parameters"]["value"], found["notes"]


def test_a_header_s_unit_is_read_and_said(fitted):
    expected, notes = optimum(fitted(N=("params", 1), D=("tokens", 1)))
    assert notes == ["N is 40M to 2B parameters and D 2B to 60B tokens, 40.0 tokens a parameter (median)."]
    for headers in (
        {"N": ("params_M", 1e6), "D": ("tokens_B", 1e9)},
        {"N": ("params (millions)", 1e6), "D": ("tokens [B]", 1e9)},
        {"N": ("params_M", 1e6), "C": ("flops_e18", 1e18)},
        {"N": ("params_M", 1), "D": ("tokens", 1)},  # a header that is wrong: no model has 4e13 parameters
    ):
        value, notes = optimum(fitted(**headers))
        assert value == pytest.approx(expected, rel=1e-4)
        assert any(note.startswith("N is 40M to 2B parameters") for note in notes)


def test_compute_that_does_not_go_with_its_sizes_is_refused_with_the_option_to_give(fitted):
    headers = {"N": ("model_size", 1e6), "C": ("flops", 1)}
    refused = fitted(**headers)
    assert refused.exit_code == 2
    assert "Such units make no sense: say what the columns count in, such as --units N=M" in refused.stderr
    plain, _ = optimum(fitted(N=("params", 1), D=("tokens", 1)))
    value, notes = optimum(fitted("--units", "N=M", **headers))
    assert value == pytest.approx(plain, rel=1e-4)
    assert "N is 'model_size' times 1e+06, as --units says." in notes


def test_compute_beside_sizes_and_tokens_shows_units_that_differ(fitted):
    headers = {"N": ("params", 1), "D": ("tokens", 1e5), "C": ("flops", 1)}
    refused = fitted(**headers)
    assert refused.exit_code == 2
    assert "1.00e5 times 6ND (median), so that N, D or C is in another unit" in refused.stderr
    _, notes = optimum(fitted(**headers | {"D": ("tokens", 1), "C": ("flops", 0.01)}))
    assert notes[-1].startswith("Check the units: C is 100.0 times 6ND")
    assert fitted("--units", "D=1", **headers).exit_code == 0
