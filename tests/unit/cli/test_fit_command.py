import csv
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cli_testing import Scaling, write


def table(folder: Path, *, rows: int = 60, noise: float = 0.005) -> Path:
    """Write points of the law L = 1.5 + 60/N^0.4 + 300/D^0.4."""
    random = np.random.default_rng(0)
    N = 10 ** random.uniform(5, 7, rows)
    D = 10 ** random.uniform(7, 9, rows)
    loss = (1.5 + 60 / N**0.4 + 300 / D**0.4) * np.exp(noise * random.standard_normal(rows))
    lines = [f"{n!r},{d!r},{y!r}" for n, d, y in zip(N.tolist(), D.tolist(), loss.tolist(), strict=True)]
    return write(folder, "params,tokens,val_loss\n" + "\n".join(lines) + "\n", "points.csv")


def test_json_holds_the_law_at_full_precision_and_nothing_else(scaling: Scaling, tmp_path: Path) -> None:
    result = scaling("fit", table(tmp_path), "--form", "Chinchilla", "--bootstrap", 100, "--json")
    assert (result.exit_code, result.stderr) == (0, "")
    law: dict[str, Any] = json.loads(result.stdout)
    assert list(law)[:3] == ["form", "formula", "coefficients"]
    assert set(law["coefficients"]) == {"E", "A", "B", "alpha", "beta"}
    assert set(law["coefficients"]["E"]) == {"value", "standardError", "lower", "upper"}
    assert law["points"] == 60
    assert law["columns"] == {"N": "params", "D": "tokens", "loss": "val_loss"}
    E = law["coefficients"]["E"]
    assert E["lower"] < 1.5 < E["upper"]
    assert {"objective", "findings", "answers"} <= set(law)
    again = scaling("fit", table(tmp_path), "--form", "Chinchilla", "--bootstrap", 100, "--json")
    assert again.stdout == result.stdout


def test_text_shows_coefficients_intervals_and_what_was_read(scaling: Scaling, tmp_path: Path) -> None:
    result = scaling("fit", table(tmp_path), "--form", "Chinchilla", "--bootstrap", 50)
    assert result.exit_code == 0
    for part in ("Read N from 'params', D from 'tokens'", "L = E + A/N^alpha + B/D^beta", "60 points", "95% interval"):
        assert part in result.stdout
    assert all(name in result.stdout for name in ("alpha", "beta", "pairs bootstrap"))


def test_questions_are_answered_with_intervals(scaling: Scaling, tmp_path: Path) -> None:
    arguments = ("fit", table(tmp_path), "--form", "Chinchilla", "--bootstrap", 50, "--training-flops", "1e17")
    answer = json.loads(scaling(*arguments, "--json").stdout)["answers"][0]
    assert answer["at"] == 1e17
    assert answer["parameters"]["value"] * answer["tokens"]["value"] * 6 == pytest.approx(1e17)
    assert answer["loss"]["lower"] < answer["loss"]["value"] < answer["loss"]["upper"]
    assert "Compute-optimal training" in scaling(*arguments).stdout
    assert scaling(*arguments, "--training-flops", "-1").exit_code == 2


def test_a_refused_law_ends_with_four(scaling: Scaling, tmp_path: Path) -> None:
    path = write(tmp_path, "N,D,loss\n1,2,3\n2,3,4\n")
    result = scaling("fit", path, "--form", "Chinchilla")
    assert result.exit_code == 4
    assert result.stderr.startswith("Chinchilla was refused (TooFewPoints): ")
    as_json = scaling("fit", path, "--form", "Chinchilla", "--json")
    assert as_json.exit_code == 4
    assert json.loads(as_json.stdout)["refused"]["code"] == "TooFewPoints"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--form", "Chinchila"), "There is no form named 'Chinchila'"),
        (("--form", "Chinchilla", "--delta", "0"), "delta must be a positive"),
        (("--form", "Chinchilla", "--bootstrap", "-1"), "must be 0 or more"),
        (("--form", "Chinchilla", "--level", "2"), "between 0 and 1"),
        (("--form", "Chinchilla", "--columns", "N=nope"), "there is no column 'nope'"),
        (("--form", "Chinchilla", "--columns", "M=params"), "M is neither one of N, D, C, loss"),
        (("--form", "Chinchilla", "--where", "loss"), "cannot read 'loss'"),
        (("--form", "Chinchilla", "--where", "loss<5"), "there is no column 'loss'"),
        (("--form", "Chinchilla", "--where", "val_loss<0"), "no row is left to fit"),
        (("--form", "Linear", "--features", "log(N),nope"), "the form uses the column nope, which the table does not"),
        (("--form", "Chinchilla", "--loss", "mae"), "Invalid value for '--loss'"),
    ],
)
def test_mistakes_of_the_user_end_with_two(
    scaling: Scaling, tmp_path: Path, arguments: tuple[str, ...], message: str
) -> None:
    result = scaling("fit", table(tmp_path, rows=12), *arguments)
    assert result.exit_code == 2
    assert message in " ".join(result.stderr.split())
    assert result.stdout == ""


def test_the_published_table_gives_the_published_optimum(scaling: Scaling, tmp_path: Path, shared_data: Path) -> None:
    with (shared_data / "epoch_chinchilla/svg_extracted_data.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    limit = sorted(float(row["loss"]) for row in rows)[-5]
    path = shared_data / "epoch_chinchilla/svg_extracted_data.csv"
    result = scaling("fit", path, "--form", "Chinchilla", "--bootstrap", 0, "--json", "--where", f"loss<{limit!r}")
    law = json.loads(result.stdout)
    assert law["points"] == 240
    assert law["objective"] == pytest.approx(0.0010182740178006, abs=1e-12)
    assert law["coefficients"]["beta"]["value"] == pytest.approx(0.367172, abs=1e-6)
    assert "D (training tokens) is C/(6N), with C = 'Training FLOP'." in law["notes"]


def test_a_table_is_read_from_standard_input_in_its_own_process(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "scaling_cli", "fit", "-", "--form", "Linear", "--json"]
    text = table(tmp_path).read_text()
    done = subprocess.run(command, input=text, text=True, capture_output=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert set(json.loads(done.stdout)["coefficients"]) == {"const", "log(N)", "log(D)"}


def test_a_linear_law_has_no_compute_optimum_and_says_so(scaling: Scaling, tmp_path: Path) -> None:
    result = scaling(
        "fit", table(tmp_path), "--form", "Linear", "--bootstrap", 50, "--training-flops", "1e17", "--json"
    )
    assert result.exit_code == 4
    assert json.loads(result.stdout)["answers"][0]["refused"]
