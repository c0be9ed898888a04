"""What `scaling fit` is asked beyond the law: comparisons, predictions, attributions, trials to add, methods."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from scaling_cli.__main__ import app


def scaling(*arguments: object) -> Result:
    return CliRunner(env={"COLUMNS": "120"}).invoke(app, [str(argument) for argument in arguments])


def asked(*arguments: object) -> dict:
    result = scaling(*arguments, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


@pytest.fixture
def table(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    N, D = (x.ravel() for x in np.meshgrid(np.geomspace(1e7, 1e9, 8), np.geomspace(1e9, 3e10, 6), indexing="ij"))
    run = np.arange(48) // 6
    noise = 0.004 * rng.standard_normal(8)[run] + 0.003 * rng.standard_normal(48)
    loss = (1.7 + 400 / N**0.34 + 2000 / D**0.37) * np.exp(noise)
    path = tmp_path / "table.csv"
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("params", "tokens", "run", "val_loss", "pipeline"))
        writer.writerows(zip(N, D, run, loss, np.resize(["dense", "int4"], 48), strict=True))
    return path


FIT = ("--form", "Chinchilla", "--columns", "cluster=run", "--bootstrap", 50)


def test_forms_side_by_side(table: Path) -> None:
    options = (
        "--compare",
        "KaplanN",
        "--compare",
        "ChinchillaEnvelope",
        "--compare",
        "L = E + A*N^-a",
        "--compare",
        "Mixing",
    )
    found = {entry["form"]: entry for entry in asked("fit", table, *FIT, *options)["comparison"]}
    assert found["Chinchilla"]["aic"] < found["KaplanN"]["aic"]
    assert found["Chinchilla"]["crossValidatedError"] < 0.01 < found["KaplanN"]["crossValidatedError"]
    assert found["Chinchilla"]["exponents"][0] == pytest.approx(0.37 / 0.71, abs=0.05)
    assert found["ChinchillaEnvelope"]["exponents"][0] == pytest.approx(0.37 / 0.71, abs=0.15)
    assert len(found["Chinchilla"]["backtests"]) == 3
    assert "at least two domains" in found["Mixing"]["refused"]
    shown = scaling("fit", table, *FIT, *options).stdout
    assert "Forms side by side" in shown
    assert "BIC" in shown


def test_predictions_have_limits_of_the_mean_and_of_one_run(table: Path) -> None:
    (found,) = asked("fit", table, *FIT, "--predict", "N=7e9,D=1.4e11")["predictions"]
    truth = 1.7 + 400 / 7e9**0.34 + 2000 / 1.4e11**0.37
    assert found["run_lower"] < found["lower"] < found["value"] < found["upper"] < found["run_upper"]
    assert found["run_lower"] < truth < found["run_upper"]
    assert "one run" in scaling("fit", table, *FIT, "--predict", "N=7e9,D=1.4e11").stdout


def test_what_a_loss_would_take(table: Path) -> None:
    tokens, size = asked("fit", table, *FIT, "--predict", "N=1e8,loss=3.2", "--predict", "D=2e10,loss=3.2")[
        "predictions"
    ]
    for found, axis, exact in (
        (tokens, "D", (2000 / (3.2 - 1.7 - 400 / 1e8**0.34)) ** (1 / 0.37)),
        (size, "N", (400 / (3.2 - 1.7 - 2000 / 2e10**0.37)) ** (1 / 0.34)),
    ):
        assert found["quantity"] == axis
        assert found["lower"] < exact < found["upper"]
        assert found["value"] == pytest.approx(exact, rel=0.1)
    assert " D " in scaling("fit", table, *FIT, "--predict", "N=1e8,loss=3.2").stdout


def test_models_beyond_the_back_tests_are_flagged_and_those_within_are_not(table: Path) -> None:
    near, far = asked("fit", table, *FIT, "--predict", "N=1e8,D=5e9", "--predict", "N=1e13,D=1e14")["predictions"]
    assert near["findings"] == []
    assert [finding["code"] for finding in far["findings"]] == ["ExtrapolationUntested"]
    assert "ExtrapolationUntested" in scaling("fit", table, *FIT, "--predict", "N=1e13,D=1e14").stdout


def test_what_is_due_to_what(table: Path) -> None:
    change = "N=2e7,D=2e9 -> N=5e8,D=2e10"
    (found,) = asked("fit", table, *FIT, "--attribute", change)["attributions"]
    assert [part["name"] for part in found["parts"]] == ["N", "D"]
    assert sum(part["value"] for part in found["parts"]) == pytest.approx(found["difference"])
    shown = scaling("fit", table, *FIT, "--attribute", change).stdout
    assert "of which interaction 0 [0, 0]" in " ".join(shown.split())  # a sum of power laws has none, not even 1e-16
    assert found["interaction"] == 0


def test_trials_to_add(table: Path) -> None:
    found = asked("fit", table, *FIT, "--next-flops", 3e19)["nextTrials"]
    assert found["flops"] <= 3e19
    assert found["proposals"][-1]["width"] < found["width"]
    shown = scaling("fit", table, *FIT, "--next-flops", 3e19).stdout
    assert "shrink the interval" in shown
    rows = [line.split()[1:4] for line in shown.splitlines() if "±" in line]
    assert len({tuple(row) for row in rows}) == len(rows)
    assert "None: the FLOPs pay" in scaling("fit", table, *FIT, "--next-flops", 1).stdout


@pytest.mark.parametrize(
    ("name", "method"), [("cv3", "CV3"), ("bca", "BCa"), ("profile", "Profile"), ("sandwich", "Sandwich")]
)
def test_methods_of_intervals_and_student_s_t(table: Path, name: str, method: str) -> None:
    law = asked("fit", table, *FIT, "--intervals", name, "--loss", "log-t")
    assert law["intervalMethod"] == method
    assert law["objectiveName"].startswith("log-t (negative log likelihood of Student's t")
    assert {"aic", "aicc", "bic"} <= set(law["goodness"])


def test_factors_of_a_linear_law(table: Path) -> None:
    law = asked("fit", table, "--form", "Linear")
    assert [factor["name"] for factor in law["factors"]] == ["compute", "data", "compression"]
    shown = scaling("fit", table, "--form", "Linear", "--factors", "size=log(N)").stdout
    assert "share of R²" in shown
    assert "size" in shown


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--predict", "N"), "cannot read 'N'"),
        (("--predict", "N=-1,D=2"), "N must be a positive number"),
        (("--predict", "N=1e9"), "depends on D"),
        (("--predict", "N=1e9,loss=0.1"), "out of reach for N = 1e+09"),
        (("--predict", "N=1e9,D=1e9,loss=3"), "one of N and D"),
        (("--predict", "N=1e9,loss=low"), "loss must be a positive number"),
        (("--attribute", "N=1,D=2"), "write two models"),
        (("--attribute", "N=1,D=2 -> N=1,D=2"), "differ in nothing"),
        (("--next-flops", "-1"), "expected a positive number"),
        (("--compare", "Chinchila"), "There is no form named 'Chinchila'; did you mean Chinchilla?"),
        (("--compare", "nothing"), "the forms are Chinchilla, "),
        (("--intervals", "wil"), "there is no method 'wil'; did you mean wild?"),
        (("--intervals", "magic"), "the methods are wild, cv3"),
        (("--predict", "N=1e9,D=1e9,pipeline=int4"), "does not depend on pipeline"),
        (("--intervals", "profile"), "need a likelihood"),
        (("--factors", "compute=N"), "only Linear does"),
    ],
)
def test_mistakes_are_named(table: Path, options: tuple[str, ...], message: str) -> None:
    result = scaling("fit", table, *FIT, *options)
    assert result.exit_code == 2
    assert message in " ".join(result.output.split())
