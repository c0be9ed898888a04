"""Users' own forms and published ones through `scaling fit`."""

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from scaling_cli.__main__ import app


def scaling(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def write(folder: Path, columns: dict[str, np.ndarray]) -> Path:
    path = folder / "table.csv"
    lines = [",".join(columns), *(",".join(repr(float(x)) for x in row) for row in zip(*columns.values(), strict=True))]
    path.write_text("\n".join(lines) + "\n")
    return path


def models(folder: Path, **further: np.ndarray) -> Path:
    N, D = (x.ravel() for x in np.meshgrid(np.geomspace(1e7, 1e10, 6), np.geomspace(1e9, 1e12, 5), indexing="ij"))
    loss = 1.8 + 480 / N**0.35 + 2100 / D**0.37
    return write(folder, {"params": N, "tokens": D, "val_loss": loss, **further})


def test_an_expression_of_the_usual_columns(tmp_path: Path) -> None:
    form = "L = E + A/N^alpha + B/D^beta"
    result = scaling("fit", models(tmp_path), "--form", form, "--bootstrap", 0, "--json")
    assert result.exit_code == 0
    law = json.loads(result.stdout)
    assert (law["form"], law["formula"]) == ("Expression", form)
    assert law["columns"] == {"N": "params", "D": "tokens", "loss": "val_loss"}
    assert law["coefficients"]["beta"]["value"] == pytest.approx(0.37, rel=1e-6)
    assert law["certificate"]["isCertified"]


def test_an_expression_of_any_columns_needs_neither_n_nor_loss(tmp_path: Path) -> None:
    x = np.linspace(0.1, 5, 30)
    path = write(tmp_path, {"dose": x, "answer": 3 * (1 - np.exp(-0.7 * x))})
    form = "answer = top*(1 - exp(-rate*dose))"
    law = json.loads(scaling("fit", path, "--form", form, "--loss", "mse", "--bootstrap", 20, "--json").stdout)
    assert {name: c["value"] for name, c in law["coefficients"].items()} == pytest.approx({"top": 3.0, "rate": 0.7})
    renamed = ("--form", "y = top*(1 - exp(-rate*x))", "--columns", "x=dose,y=answer")
    again = json.loads(scaling("fit", path, *renamed, "--loss", "mse", "--bootstrap", 20, "--json").stdout)
    assert again["coefficients"] == law["coefficients"]


def test_compute_is_6nd_or_a_column(tmp_path: Path) -> None:
    form = ("--form", "loss = A*C^-gamma + E", "--bootstrap", 0, "--json")
    derived = json.loads(scaling("fit", models(tmp_path), *form).stdout)
    given = json.loads(scaling("fit", models(tmp_path, C=np.geomspace(1e15, 1e20, 30)), *form).stdout)
    assert set(derived["coefficients"]) == set(given["coefficients"]) == {"A", "gamma", "E"}
    assert given["columns"]["C"] == "C"
    assert derived["objective"] != given["objective"]


@pytest.mark.parametrize(
    ("form", "message"),
    [
        ("loss = E + * N", "found '*' at position 12"),
        ("loss = E + quality*N^-a", None),
        ("DataConstrained", "the form uses the column U, which the table does not have"),
        ("wer = E + A/N^a", "the form uses the column wer, which the table does not have"),
        ("loss = E + A/steps^a", "TooFewLevels"),
    ],
)
def test_mistakes_are_named(tmp_path: Path, form: str, message: str | None) -> None:
    result = scaling("fit", models(tmp_path, steps=np.full(30, 2000.0)), "--form", form, "--bootstrap", 0)
    if message is None:  # what is no column is a coefficient
        assert result.exit_code == 0
    else:
        assert result.exit_code in {2, 4}
        assert message in " ".join(result.stderr.split())


def test_an_own_form_is_asked_for_its_own_optimum(tmp_path: Path) -> None:
    # The same five names in another formula must not be taken for the surface whose optimum has a closed form.
    optimum: list[float] = []
    for form in ("L = E + A/N^alpha + B/D^beta", "L = E + B/N^beta + A/D^alpha", "Chinchilla"):
        question = ("--training-flops", "1e21", "--json")
        result = scaling("fit", models(tmp_path), "--form", form, "--bootstrap", 0, *question)
        assert result.exit_code == 0
        optimum.append(json.loads(result.stdout)["answers"][0]["parameters"]["value"])
    assert optimum[:2] == pytest.approx([optimum[2]] * 2, rel=1e-3)


def test_a_question_that_a_form_does_not_answer_is_no_success(tmp_path: Path) -> None:
    question = ("--training-flops", "1e21", "--json")
    result = scaling("fit", models(tmp_path), "--form", "KaplanN", "--bootstrap", 0, *question)
    assert result.exit_code == 4
    assert "depends on N alone" in json.loads(result.stdout)["answers"][0]["refused"]


def test_predictions_beyond_the_points_say_so_whatever_the_form(tmp_path: Path) -> None:
    width = np.resize([64.0, 128.0, 256.0], 30)
    table = models(tmp_path, width=width)
    asked = ["N=1e9,D=1e11", "N=1e9,D=1e15", "N=1e9,D=1e11,width=4096"]
    forms = ["L = E + A/N^alpha + B/D^beta", "L = E + A/N^alpha + B/D^beta + k*width"]
    for form, models_asked, told in (
        (forms[0], asked[:2], [None, "D = 1e+15 lies"]),
        (forms[1], [f"{asked[0]},width=100", asked[2]], [None, "width = 4096 lies 16 times beyond"]),
    ):
        options = [word for text in models_asked for word in ("--predict", text)]
        result = scaling("fit", table, "--form", form, "--bootstrap", 0, "--json", *options)
        assert result.exit_code == 0, result.output
        for found, text in zip(json.loads(result.stdout)["predictions"], told, strict=True):
            messages = [finding["message"] for finding in found["findings"]]
            assert messages == [] if text is None else text in messages[0]


def test_a_published_form_with_a_further_column(tmp_path: Path) -> None:
    S = np.resize([0.0, 0.5, 0.75, 0.875, 0.0, 0.6, 0.9], 30)
    result = scaling(
        "fit", models(tmp_path, sparsity=S), "--form", "Sparsity", "--columns", "S=sparsity", "--bootstrap", 0
    )
    assert result.exit_code == 0
    assert "b_S" in result.stdout
