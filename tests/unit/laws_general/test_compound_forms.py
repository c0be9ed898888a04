"""Forms whose formula depends on the table: recovery of known coefficients, choices among formulas, refusals."""

import csv
import json
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from scaling_cli.__main__ import app
from scaling_laws.fit import IntervalOptions, Objective, fit_law, predict, predict_draws
from scaling_laws.law import Finding, FindingCode, IntervalMethod, Law, LawRefusedError
from scaling_laws.points import FloatArray, Points

DATA = Path(os.environ.get("SCALING_DATA", Path(__file__).resolve().parents[4] / "shared" / "data"))
NO_INTERVALS = IntervalOptions(draws=0)
SOME = IntervalOptions(draws=100)
SQUARES = Objective("log-mse")


def noise(count: int, size: float, seed: int = 3) -> FloatArray:
    return np.exp(size * np.random.default_rng(seed).standard_normal(count))


def grid(sizes: int = 5, counts: int = 5) -> tuple[FloatArray, FloatArray]:
    N, D = np.meshgrid(np.geomspace(1e7, 1e9, sizes), np.geomspace(1e9, 3e10, counts), indexing="ij")
    return N.ravel(), D.ravel()


def dense(N: FloatArray, D: FloatArray) -> FloatArray:
    return np.asarray(1.7 + 400 / N**0.34 + 2000 / D**0.37)


def chosen(law: Law) -> str:
    return " ".join(finding.message for finding in law.findings if finding.code == FindingCode.CHOSEN)


def refusal(points: Points, form: str, **options: object) -> Finding:
    with pytest.raises(LawRefusedError) as caught:
        fit_law(points, form, intervals=NO_INTERVALS, **options)
    assert caught.value.finding.message.endswith(".")
    return caught.value.finding


# Mixing


def mixtures(size: float, *, closed: bool = True) -> Points:
    shares = np.random.default_rng(1).dirichlet(np.ones(4), 40)
    used = shares if closed else shares[:, :3]
    loss = 1.5 + 0.8 * np.exp(used @ np.array([-1.2, -0.3, 0.5, 0.0][: used.shape[1]]))
    names = ("r_web", "r_code", "r_books", "r_wiki")
    features = {name: used[:, i] for i, name in enumerate(names[: used.shape[1]])}
    return Points(np.ones(40), np.ones(40), loss * noise(40, size), features=features)


@pytest.mark.parametrize("closed", [True, False])
def test_mixing_recovers_its_coefficients(closed: bool) -> None:
    law = fit_law(mixtures(0.0, closed=closed), "Mixing", intervals=NO_INTERVALS)
    found = {c.name: c.value for c in law.coefficients}
    assert found == pytest.approx({"c": 1.5, "k": 0.8, "t_web": -1.2, "t_code": -0.3, "t_books": 0.5}, rel=1e-6)
    assert law.has(FindingCode.CONVERGED)
    assert ("compared with that of r_wiki" in chosen(law)) == closed


def test_mixing_has_intervals_that_hold_the_truth_and_predicts() -> None:
    points = mixtures(0.002)
    law = fit_law(points, "Mixing", objective=SQUARES, intervals=IntervalOptions(draws=200))
    truth = {"c": 1.5, "k": 0.8, "t_web": -1.2, "t_code": -0.3, "t_books": 0.5}
    assert sum(c.lower <= truth[c.name] <= c.upper for c in law.coefficients) >= 4
    assert predict(law, 1.0, 1.0, features=points.features) == pytest.approx(law.fitted, rel=1e-12)


def test_domains_may_be_named_and_many() -> None:
    shares = np.random.default_rng(2).dirichlet(np.ones(12), 120)
    t = np.linspace(-1, 1, 12)
    loss = 2.0 + 0.5 * np.exp(shares @ t)
    names = [f"domain {i}" for i in range(12)]
    points = Points(np.ones(120), np.ones(120), loss, features={n: shares[:, i] for i, n in enumerate(names)})
    law = fit_law(points, "Mixing", features=names, intervals=NO_INTERVALS)
    assert law["t_domain_0"] == pytest.approx(t[0] - t[-1], rel=1e-5)


def test_mixing_refuses_what_is_no_mixture() -> None:
    points = mixtures(0.0)
    one = replace(points, features={"r_web": points.features["r_web"]})
    assert refusal(one, "Mixing").code == FindingCode.TOO_FEW_LEVELS
    negative = replace(points, features={**points.features, "r_web": -points.features["r_web"]})
    with pytest.raises(ValueError, match="cannot be negative; row 1"):
        fit_law(negative, "Mixing")
    with pytest.raises(ValueError, match="Mixing needs the column r_law"):
        fit_law(points, "Mixing", features=("r_law", "r_web"))


# Broken power laws


def broken(breaks: int, size: float = 0.002) -> Points:
    C = np.geomspace(1e15, 1e24, 60)
    L = 1.2 + 30 * C**-0.05 * (1 + (C / 1e18) ** (1 / 0.3)) ** (-0.15 * 0.3)
    if breaks == 2:
        L = 1.2 + (L - 1.2) * (1 + (C / 1e21) ** (1 / 0.2)) ** (0.12 * 0.2)
    return Points(C / 6, np.ones(60), L * noise(60, size))


@pytest.mark.parametrize("breaks", [1, 2])
def test_cross_validation_finds_the_number_of_breaks(breaks: int) -> None:
    law = fit_law(broken(breaks), "BNSL", intervals=NO_INTERVALS)
    assert len(law.coefficients) == 3 + 3 * breaks
    assert law["d1"] == pytest.approx(1e18, rel=0.15)
    assert law["c1"] == pytest.approx(0.15, abs=0.02)
    assert ("one break" if breaks == 1 else "2 breaks") in chosen(law)
    if breaks == 2:
        assert law["d2"] == pytest.approx(1e21, rel=0.2)


def test_breaks_need_points_and_one_variable() -> None:
    points = broken(1)
    few = Points(points.N[::8], points.D[::8], points.loss[::8])
    assert refusal(few, "BNSL").code == FindingCode.TOO_FEW_POINTS
    with pytest.raises(ValueError, match="law of one variable"):
        fit_law(points, "BNSL", features=("N", "D"))
    assert "A/N^c0" in fit_law(points, "BNSL", features=("N",), intervals=NO_INTERVALS).formula


# Parallel efficiency


def throughput(kind: str, *, sizes: tuple[float, ...] = (1e8,), size: float = 0.01) -> Points:
    table = [(n, s, w) for n in sizes for s in ("DDP", "FSDP") for w in (1, 2, 4, 8, 16, 32, 64) for _ in range(2)]
    N, W = np.array([n for n, _, _ in table]), np.array([float(w) for _, _, w in table])
    is_ddp = np.array([s == "DDP" for _, s, _ in table])
    sigma, kappa = np.where(is_ddp, 0.02, 0.05), np.where(is_ddp, 8e-4, 1e-4)
    rate = {
        "UniversalScalability": W / (1 + sigma * (W - 1) + kappa * W * (W - 1)),
        "Amdahl": W / (1 + sigma * (W - 1)),
        "Gustafson": W - sigma * (W - 1),
    }[kind]
    rate = 1000 * rate * (N / 1e8) ** -0.9 * noise(len(N), size)
    features = {"workers": W, "throughput": rate, "strategy": np.array([s for _, s, _ in table])}
    return Points(N, np.ones(len(N)), np.ones(len(N)), features=features)


@pytest.mark.parametrize("kind", ["Amdahl", "Gustafson", "UniversalScalability"])
def test_parallel_efficiency_finds_the_formula_and_its_coefficients(kind: str) -> None:
    law = fit_law(throughput(kind), "ParallelEfficiency", intervals=SOME)
    assert f"{kind} predicts held-out points best" in chosen(law)
    share = "g" if kind == "Gustafson" else "sigma"
    assert (law[f"{share}_DDP"], law[f"{share}_FSDP"]) == pytest.approx((0.02, 0.05), abs=0.01)
    assert law["lambda"] == pytest.approx(1000, rel=0.02)
    if kind == "UniversalScalability":
        assert "of DDP peaks at 3" in chosen(law)


def test_models_of_several_sizes_share_a_power_of_n() -> None:
    law = fit_law(throughput("Amdahl", sizes=(1e7, 1e8, 1e9)), "Amdahl", intervals=NO_INTERVALS)
    assert law["eta"] == pytest.approx(-0.9, abs=0.01)


def test_one_number_of_workers_is_refused_and_named() -> None:
    points = throughput("Amdahl")
    fixed = {
        **points.features,
        "workers": np.where(points.features["strategy"] == "DDP", 8.0, points.features["workers"]),
    }
    finding = refusal(replace(points, features=fixed), "ParallelEfficiency")
    assert finding.code == FindingCode.TOO_FEW_LEVELS
    assert "strategy DDP have 8 workers" in finding.message
    with pytest.raises(ValueError, match="needs the column workers"):
        fit_law(replace(points, features={}), "Amdahl")
    with pytest.raises(ValueError, match="throughput must be positive; row 1"):
        fit_law(replace(points, features={**points.features, "throughput": -points.N}), "Amdahl")


# Data quality


def treated(size: float = 0.003) -> Points:
    N, D = (np.tile(x, 4) for x in grid())
    names = np.repeat(["clean", "noisy", "dup", "same"], 25)
    loss = np.select([names == "noisy", names == "dup"], [dense(N, D) + 0.15, dense(N, 0.4 * D)], dense(N, D))
    return Points(N, D, loss * noise(100, size), features={"treatment": names})


@pytest.mark.parametrize("loss", ["log-huber", "log-mse"])
def test_treatments_act_on_tokens_or_on_the_floor_or_not_at_all(loss: str) -> None:
    law = fit_law(treated(), "DataQuality", objective=Objective(loss), intervals=SOME)
    found = {c.name: c.value for c in law.coefficients}
    assert set(found) == {"E", "A", "alpha", "B", "beta", "q_dup", "dE_noisy"}
    assert found["q_dup"] == pytest.approx(0.4, rel=0.1)
    assert found["dE_noisy"] == pytest.approx(0.15, rel=0.1)
    assert "same cannot be told from clean" in chosen(law)
    assert "noisy shifts the floor" in chosen(law)
    assert "dup acts like a change of the number of tokens" in chosen(law)


def test_a_measured_quality_counts_as_a_power() -> None:
    N, D = grid()
    Q = np.resize([0.2, 0.5, 1.0], 25)
    law = fit_law(Points(N, D, dense(N, D * Q**0.8), features={"Q": Q}), "DataQuality", intervals=NO_INTERVALS)
    assert law["gamma"] == pytest.approx(0.8, rel=1e-6)


def test_one_treatment_or_few_points_of_it_are_refused() -> None:
    points = treated()
    N, D = grid()
    alone = Points(N, D, dense(N, D), features={"treatment": np.repeat("clean", 25)})
    assert refusal(alone, "DataQuality").code == FindingCode.TOO_FEW_LEVELS
    rows = np.r_[:25, 25:27]
    few = Points(
        points.N[rows], points.D[rows], points.loss[rows], features={"treatment": points.features["treatment"][rows]}
    )
    assert "noisy has 2 point(s)" in refusal(few, "DataQuality").message
    with pytest.raises(ValueError, match="needs a column treatment"):
        fit_law(Points(N, D, dense(N, D)), "DataQuality")


# Accuracy


def tasks(size: float = 0.0) -> Points:
    N, D = grid()
    loss = dense(N, D) * noise(25, size)
    accuracy = 0.25 + 0.65 / (1 + np.exp(4 * (dense(N, D) - 2.8)))
    clusters = np.arange(25) // 5
    return Points(
        N, D, loss, features={"accuracy": accuracy}, clusters=np.concatenate([clusters[:15], clusters[15:] + 2])
    )


def test_accuracy_is_predicted_in_two_steps() -> None:
    law = fit_law(tasks(), "TaskAccuracy", intervals=NO_INTERVALS)
    truth = {"floor": 0.25, "ceiling": 0.9, "slope": 4.0, "middle": 2.8, "E": 1.7, "alpha": 0.34}
    assert {name: law[name] for name in truth} == pytest.approx(truth, rel=1e-5)
    far = 0.25 + 0.65 / (1 + np.exp(4 * (dense(np.array(1e11), np.array(1e12)) - 2.8)))
    assert float(predict(law, 1e11, 1e12)) == pytest.approx(float(far), rel=1e-6)


def test_accuracy_has_draws_of_both_steps_together() -> None:
    law = fit_law(tasks(0.004), "TaskAccuracy", intervals=SOME)
    assert law.interval_method == IntervalMethod.WILD_CLUSTER_T
    assert law.draws.shape == (100, 9)
    draws = predict_draws(law, 1e10, 1e11)
    assert 0 < draws.std() < 0.1


def test_accuracy_against_loss_alone_and_with_a_known_chance_level() -> None:
    points = tasks()
    alone = replace(points, N=np.ones(25), D=np.ones(25))
    law = fit_law(alone, "TaskAccuracy", fixed={"floor": 0.25}, intervals=NO_INTERVALS)
    assert {c.name for c in law.coefficients} == {"floor", "ceiling", "slope", "middle"}
    assert law["ceiling"] == pytest.approx(0.9, rel=1e-6)
    percent = replace(points, features={"accuracy": 100 * points.features["accuracy"]})
    with pytest.raises(ValueError, match="Divide percentages by 100"):
        fit_law(percent, "TaskAccuracy")


def test_a_published_sweep_of_104_models_gives_error_against_loss() -> None:
    path = DATA / "gadre_overtraining" / "models.csv"
    if not path.exists():
        pytest.skip(f"no published data: {path} does not exist (set SCALING_DATA)")
    with path.open() as file:
        rows = list(csv.DictReader(file))
    loss, error = (np.array([float(row[name]) for row in rows]) for name in ("loss_c4_val", "err_hellaswag"))
    points = Points(np.ones(len(rows)), np.ones(len(rows)), loss, features={"accuracy": error})
    law = fit_law(points, "TaskAccuracy", intervals=NO_INTERVALS)
    assert law.goodness["r2"] > 0.97
    assert law["floor"] > law["ceiling"]  # an error falls


# Through the command


def scaling(*arguments: object) -> dict[str, object]:
    result = CliRunner().invoke(app, [str(argument) for argument in (*arguments, "--json")])
    assert result.exit_code == 0, result.output
    return dict(json.loads(result.stdout))


def write(folder: Path, columns: dict[str, object]) -> Path:
    path = folder / "table.csv"
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        writer.writerows(zip(*columns.values(), strict=True))
    return path


def test_columns_by_their_usual_names(tmp_path: Path) -> None:
    points = throughput("Amdahl")
    table = {"gpus": points.features["workers"], "tokens_per_second": points.features["throughput"]}
    law = scaling("fit", write(tmp_path, table), "--form", "Amdahl", "--bootstrap", 0)
    assert law["columns"] == {"workers": "gpus", "throughput": "tokens_per_second"}
    assert law["objectiveName"] == "log-mse (mean)"


def test_every_compound_form_through_the_command(tmp_path: Path) -> None:
    mixed, quality, task = mixtures(0.001), treated(), tasks(0.002)
    tables = {
        "Mixing": ({**mixed.features, "val_loss": mixed.loss}, ()),
        "BNSL": ({"flops": 6 * broken(1).N, "loss": broken(1).loss}, ()),
        "DataQuality": ({"n": quality.N, "tokens": quality.D, "loss": quality.loss, **quality.features}, ()),
        "TaskAccuracy": (
            {"n": task.N, "tokens": task.D, "loss": task.loss, "acc": task.features["accuracy"]},
            ("--fix", "floor=0.25"),
        ),
    }
    for form, (table, options) in tables.items():
        law = scaling("fit", write(tmp_path, table), "--form", form, "--bootstrap", 20, *options)
        assert law["form"] == form
        assert len(law["coefficients"]) >= 4


def test_mistakes_in_fixed_coefficients_are_named(tmp_path: Path) -> None:
    N, D = grid()
    path = write(tmp_path, {"N": N, "D": D, "loss": dense(N, D)})
    held = scaling("fit", path, "--form", "Chinchilla", "--bootstrap", 0, "--fix", "E=1.7", "--fix", "alpha=0.34")
    assert held["coefficients"]["B"]["value"] == pytest.approx(2000, rel=1e-6)
    wrong = {
        ("E",): "cannot read 'E'",
        ("gamma=2",): "no coefficient 'gamma'",
        ("A=-1",): "positive A",
        ("E=1,E=2",): "E is held twice, at 1 and 2",
        ("E=1", "E=2"): "E is held twice, at 1 and 2",
    }
    for texts, message in wrong.items():
        options = [part for text in texts for part in ("--fix", text)]
        result = CliRunner().invoke(app, ["fit", str(path), "--form", "Chinchilla", *options])
        assert result.exit_code == 2
        assert message in " ".join(result.output.split())


# Compression


def compressed(kind: str, *, interaction: float = 0.0, size: float = 0.001) -> Points:
    levels = [(P, S) for P in (32.0, 8.0, 4.0, 3.0) for S in (0.0, 0.5, 0.75)]
    sizes, counts = np.geomspace(1e7, 1e9, 4), np.geomspace(1e9, 3e10, 5)
    N, D, P, S = (
        np.array(x) for x in zip(*((n, d, *own) for n in sizes for d in counts for own in levels), strict=True)
    )
    is_quantized = P < 16
    hybrids = 1 + interaction * (is_quantized & (S > 0))
    if kind == "additive":
        lost = 3 * is_quantized * np.exp(-P) + 0.02 * (1 / (1 - S) ** 1.2 - 1)
        penalty = lost * hybrids * (D / 6e9) ** 0.6 * (N / 1e8) ** -0.3
    else:
        lost = 10 * is_quantized * np.exp(-P / 1.2) + 0.3 * (-np.log(1 - S)) ** 1.3
        penalty = 400 / N**0.34 * (np.exp(0.34 * lost * hybrids * (D / N / 60) ** 0.3) - 1)
    scatter = size * np.random.default_rng(0).standard_normal(len(N))
    return Points(N, D, dense(N, D) + penalty + scatter, features={"P": P, "S": S})


@pytest.mark.parametrize("kind", ["additive", "multiplier"])
def test_compression_finds_the_formula_and_its_coefficients(kind: str) -> None:
    law = fit_law(compressed(kind), "Compression", intervals=NO_INTERVALS)
    assert f"The {kind} formula has the smallest error on the largest D" in chosen(law)
    assert "in hybrids, within the errors" in chosen(law)
    truth = {"gamma": 1.0, "b": 1.2, "g": 0.6, "h": 0.3} if kind == "additive" else {"gamma": 1.2, "b": 1.3, "g": 0.3}
    assert {name: law[name] for name in truth} == pytest.approx(truth, rel=0.05)


@pytest.mark.parametrize("kind", ["additive", "multiplier"])
def test_hybrids_that_lose_more_than_their_parts_are_noticed(kind: str) -> None:
    law = fit_law(compressed(kind, interaction=0.8), "Compression", intervals=NO_INTERVALS)
    told = next(f.message for f in law.findings if f.code == FindingCode.MULTIPLIER_NOT_CONSTANT)
    assert "hybrids lose more than their parts together (interaction +0.8" in told


def test_compression_needs_compressed_models_controls_and_levels() -> None:
    points = compressed("additive")
    P, S = points.features["P"], points.features["S"]
    only_dense = (P > 16) & (S == 0)
    for rows, text in ((only_dense, "there is no penalty to fit"), (~only_dense, "no dense model of the same N and D")):
        own = Points(points.N[rows], points.D[rows], points.loss[rows], features={"P": P[rows], "S": S[rows]})
        assert text in refusal(own, "Compression").message
    one = (only_dense) | ((P == 4) & (S == 0))
    own = Points(points.N[one], points.D[one], points.loss[one], features={"P": P[one], "S": S[one]})
    assert refusal(own, "Compression").code == FindingCode.TOO_FEW_LEVELS
    with pytest.raises(ValueError, match="share from 0 to below 1; row 1"):
        fit_law(replace(points, features={"S": S + 1}), "Compression")
