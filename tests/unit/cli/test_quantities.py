import csv
import json

import numpy as np
import pytest

from scaling_cli.tables.quantities import as_bits, as_share

BITS = {16: "fp16", 8: "int8", 4: "nf4", 3: "W3A16"}


@pytest.mark.parametrize(
    ("text", "bits"),
    [
        ("int4", 4), ("INT8", 8), ("uint3", 3), ("fp16", 16), ("bf16", 16), ("bfloat16", 16), ("float32", 32),
        ("fp8", 8), ("fp8_e4m3", 8), ("E4M3", 8), ("e2m1", 4), ("nf4", 4), ("mxfp4", 4), ("nvfp4", 4), ("W4A16", 4),
        ("q4_0", 4), ("q5_K_M", 5), ("4bit", 4), ("4-bit", 4), ("8 bits", 8), ("1.58bit", 1.58), ("gptq-int4", 4),
        ("awq_int4_g128", 4), ("ternary", 1.58), ("half", 16), ("none", 16), ("gptq", None), ("clean", None),
        ("int", None), ("", None),
    ],
)  # fmt: skip
def test_names_of_types_say_their_bits(text, bits):
    assert as_bits(text) == bits


@pytest.mark.parametrize(
    ("text", "share"),
    [("50%", 0.5), ("12.5 %", 0.125), ("2:4", 0.5), ("1:4", 0.75), ("dense", 0.0), ("5:4", None), ("half", None)],
)
def test_percentages_and_patterns_say_their_share(text, share):
    assert as_share(text) == share


@pytest.fixture
def write(tmp_path):
    """Writes a table of models with a penalty that grows with what compression took."""

    def write(**columns):
        rng = np.random.default_rng(3)
        rows = []
        for N in (6e7, 2e8, 6e8, 2e9):
            for D in (2e9, 8e9, 3e10):
                for i in range(4):
                    loss = 1.7 + 400 / N**0.34 + 410 / D**0.28 + 0.01 * i * (i + 1) * (D / 1e10) ** 0.3
                    rows.append({"params": N, "tokens": D, "loss": loss * np.exp(1e-3 * rng.standard_normal())})
                    rows[-1] |= {name: values[i] for name, values in columns.items()}
        path = tmp_path / "table.csv"
        with path.open("w", newline="") as file:
            writer = csv.DictWriter(file, rows[0])
            writer.writeheader()
            writer.writerows(rows)
        return path

    return write


def fitted(scaling, path, form, *more):
    result = scaling("fit", path, "--form", form, "--bootstrap", "0", "--json", *more)
    assert result.exit_code == 0, result.stderr
    return json.loads(result.stdout)


def test_bits_may_be_written_as_types(scaling, write):
    numbers = fitted(scaling, write(bits=[*BITS]), "Compression")
    texts = fitted(scaling, write(precision=[*BITS.values()]), "Compression")
    assert texts["coefficients"] == numbers["coefficients"]
    assert texts["columns"]["P"] == "precision"
    assert "P is read from the text of 'precision': fp16 is 16, int8 is 8, nf4 is 4, W3A16 is 3." in texts["notes"]


def test_of_two_columns_that_may_be_bits_the_plainer_name_is_meant(scaling, write):
    both = fitted(scaling, write(precision=[*BITS.values()], bits=[*BITS]), "Compression")
    assert both["columns"]["P"] == "bits"


@pytest.mark.parametrize("form", ["Compression", "Sparsity"])
def test_sparsity_may_be_written_in_percent(scaling, write, form):
    shares = fitted(scaling, write(sparsity=[0, 0.25, 0.5, 0.75]), form)
    for column in ({"sparsity": ["0%", "25%", "50%", "75%"]}, {"sparsity_pct": [0, 25, 50, 75]}):
        percent = fitted(scaling, write(**column), form)
        assert percent["coefficients"] == shares["coefficients"]
        assert any(note.startswith("S is") for note in percent["notes"])


def test_what_is_no_share_is_refused_with_the_way_forward(scaling, write):
    result = scaling("fit", write(sparsity=[0, 0.5, 7, 400]), "--form", "Compression")
    assert result.exit_code == 2
    assert "a share from 0 to 1" in result.stderr
    assert "--columns S=" in result.stderr


def test_without_bits_and_sparsity_the_columns_are_asked_for(scaling, write):
    result = scaling("fit", write(kind=["a", "b", "c", "d"]), "--form", "Compression")
    assert result.exit_code == 4
    assert "no column P (bits of the weights) and no column S" in result.stderr
    assert "are dense" not in result.stderr


def test_a_penalty_is_predicted_from_what_a_user_knows(scaling, write):
    path = write(bits=[*BITS])
    found = fitted(scaling, path, "Compression", "--predict", "N=2B,D=30B,P=int4", "--predict", "N=2e9,D=3e10,P=4")
    text, number = (entry["value"] for entry in found["predictions"])
    assert text == number == pytest.approx(0.06 * 3**0.3, rel=0.2)
    assert set(found["coefficients"]) <= {"k_q", "gamma", "g", "h"}


def test_a_model_that_is_only_pruned_pays_nothing_for_bits(scaling, write):
    rows = write(bits=[16, 16, 16, 4], sparsity=[0, 0.5, 0.75, 0])
    table = rows.read_text().splitlines()
    more = [line.rsplit(",", 2)[0] + ",3,0" for line in table[4::4]]
    rows.write_text("\n".join([*table, *more]) + "\n")
    found = fitted(
        scaling, rows, "Compression", "--predict", "N=2B,D=8B,P=16,S=2:4", "--predict", "N=2B,D=8B,P=8,S=50%"
    )
    pruned, both = (entry["value"] for entry in found["predictions"])
    assert pruned == pytest.approx(0.02 * 0.8**0.3, rel=0.3)
    assert both > pruned


def test_counts_of_a_model_may_have_suffixes(scaling, write):
    asked = ("--predict", "N=7B,D=1.5 T", "--predict", "N=7e9,D=1.5e12")
    found = fitted(scaling, write(seed=[0, 1, 2, 3]), "Chinchilla", *asked)
    assert found["predictions"][0] == found["predictions"][1]
