"""How often intervals cover: simulated experiments with known coefficients, resumable, on one core.

python benchmarks/laws/coverage.py STATE [--only TEXT] [--seconds 3600]   # go on where STATE (a folder) ends
python benchmarks/laws/coverage.py STATE --table                          # print what has finished

A case is a law, a design, noise, an objective and a method. Each of its experiments draws new noise (half of its
variance shared by a trunk), fits, and notes for every coefficient, and for the loss at ten times the largest N and D,
whether the nominal 95 % interval holds the truth. Under a misspecified law the truth is what the form tends to: its fit
on two hundred replications of the design.
"""

import argparse
import itertools
import json
import os
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

os.environ["OPENBLAS_NUM_THREADS"] = os.environ["OMP_NUM_THREADS"] = "1"  # before numpy starts its threads

import numpy as np
from worlds import WORLDS, World, bent, scattered

from scaling_laws.fit import IntervalOptions, Objective, fit_law, predict, predict_draws
from scaling_laws.forms import form_named
from scaling_laws.law import IntervalMethod, Law, LawRefusedError
from scaling_laws.points import FloatArray, Points

TRUTHS: Mapping[str, Mapping[str, float]] = {
    "Chinchilla": {"E": 1.7, "A": 400.0, "B": 2000.0, "alpha": 0.34, "beta": 0.37},
    "ChinchillaTied": {"E": 1.7, "A": 400.0, "B": 2000.0, "alpha": 0.35},
    "KaplanN": {"Nc": 9e13, "alpha_N": 0.076},
    "KaplanD": {"Dc": 5.4e13, "alpha_D": 0.095},
    "KaplanC": {"Cc": 1.6e27, "alpha_C": 0.057},
    "SaturatingN": {"E": 1.7, "A": 400.0, "alpha": 0.34},
    "SaturatingD": {"E": 1.7, "A": 2000.0, "alpha": 0.37},
    "SaturatingC": {"E": 1.7, "A": 2600.0, "alpha": 0.17},
    "OverTraining": {"E": 1.5, "a": 140.0, "eta": 0.121, "b": 190.0},
    "Kaplan": {"Nc": 6.4e13, "alpha_N": 0.076, "alpha_D": 0.103, "Dc": 1.8e13},
}
MISSPECIFIED = "1.7 + (60/N^0.24 + 300/D^0.27)^1.5"
"""A surface that Chinchilla bends to fit."""
DESIGNS = {"8x4": (4, 2, 4), "16x6": (8, 2, 6), "40x5": (8, 5, 5)}
"""Trunks x points: number of sizes, seeds, token counts."""
REPLICATIONS = 200
PLAIN = World("Chinchilla", {}, make=lambda world: Points(*(np.ones(1),) * 3), loss="log-huber")
"""Noise of the forms of N, D and the loss alone."""
MAIN = frozenset(("Chinchilla", "ChinchillaTied"))
LOOKED_AT_AGAIN = frozenset(("BNSL1", "DataConstrained"))
"""Forms whose first hundred experiments came near to 88 % for a coefficient."""
BENT = ("Precision", "Sparsity", "Routed", "FineGrained", "DataConstrained", "ChinchillaGamma")
"""Forms with columns of their own that are also fitted to losses that they do not describe."""


@dataclass(frozen=True)
class Case:
    law: str
    design: str
    noise: str
    loss: str
    method: str
    is_misspecified: bool = False

    @property
    def name(self) -> str:
        kind = "bent" if self.is_misspecified else "correct"
        return "-".join((self.law, kind, self.design, self.noise, self.loss, self.method))

    @property
    def size(self) -> tuple[int, int]:
        """Experiments and draws."""
        if self.law in MAIN:
            return 400, 400
        return (400, 200) if self.law in LOOKED_AT_AGAIN else (100, 200)


def cases() -> Iterator[Case]:
    """Yield the cases, those that matter most first."""
    wild, others = IntervalMethod.WILD_CLUSTER_T.value, ("CV3", "ClusterPairsBootstrap", "PairsBootstrap")
    designs = [("8x4", "normal"), ("16x6", "t3"), ("40x5", "t3")]
    for (design, noise), loss, method in itertools.product(designs, ("log-huber", "log-mse"), (wild, *others)):
        yield Case("Chinchilla", design, noise, loss, method)
    for (design, noise), loss in itertools.product(designs, ("log-huber", "log-mse")):
        yield Case("Chinchilla", design, noise, loss, wild, is_misspecified=True)
        yield Case("ChinchillaTied", design, noise, loss, wild)
    for law in TRUTHS:
        if law not in MAIN:
            yield Case(law, "16x6", "t3", "log-mse", wild)
            yield Case(law, "16x6", "t3", "log-huber", wild)
    for (design, noise), method in itertools.product(designs, ("Sandwich", "Profile", "BCa")):
        yield Case("Chinchilla", design, noise, "log-t" if method != "BCa" else "log-mse", method)
    for law, world in WORLDS.items():
        if law in BENT:
            yield Case(law, "own", "t3", "log-mse", wild, is_misspecified=True)
        for loss in losses_of(world):
            yield Case(law, "own", "t3", loss, world.method)


def losses_of(world: World) -> tuple[str, ...]:
    """Return what a world's form is fitted by: its usual objective, and squares of logs beside a Huber sum."""
    if world.loss != "log-huber" or world.form in {"ChinchillaIsoFLOP", "ChinchillaEnvelope"}:
        return (world.loss,)
    return (world.loss, "log-mse")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("state", type=Path)
    parser.add_argument("--only", default="", help="cases whose name holds this")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="stop after so long")
    parser.add_argument("--table", action="store_true", help="print what has finished")
    options = parser.parse_args()
    options.state.mkdir(parents=True, exist_ok=True)
    chosen = [case for case in cases() if options.only in case.name]
    if options.table:
        print_table(chosen, options.state)
        return
    until = time.monotonic() + options.seconds
    for case in chosen:
        if case.method in set(IntervalMethod) and not run_case(case, options.state / f"{case.name}.jsonl", until=until):
            return


def run_case(case: Case, path: Path, *, until: float) -> bool:
    """Run what is missing of a case; return False where the time is up. Lines are appended whole, one an experiment."""
    done = len(rows_of(path))
    truth = truth_of(case)
    with path.open("a") as file:
        for seed in range(done, case.size[0]):
            if time.monotonic() > until:
                return False
            file.write(json.dumps(experiment(case, seed, truth)) + "\n")
            file.flush()
    return True


def rows_of(path: Path) -> list[dict[str, object]]:
    """Return the complete lines of a file."""
    lines = path.read_text().splitlines(keepends=True) if path.exists() else []
    return [json.loads(line) for line in lines if line.endswith("\n")]


def truth_of(case: Case) -> Mapping[str, float]:
    """Return the coefficients and the far loss that intervals should hold."""
    points = exact_points(case)
    if case.is_misspecified:
        many = [noisy(points, case, 1_000_000 + i).loss for i in range(REPLICATIONS)]
        whole = replace(tiled(points, REPLICATIONS), loss=np.concatenate(many))
        return tended_to(case, whole, points)
    if case.law in WORLDS:
        world = WORLDS[case.law]
        return dict(world.truth) | tended_to(case, points, points, names=() if world.truth else None)
    N, D = (np.array([far(case, points)[name]]) for name in "ND")
    return {**TRUTHS[case.law], "far": float(surface(case, N, D)[0])}


def tended_to(
    case: Case, table: Points, design: Points, *, names: tuple[str, ...] | None = None
) -> Mapping[str, float]:
    """Return the coefficients, those named or all, and the far loss of a fit to a table."""
    law = fit_law(table, form_of(case), objective=Objective(case.loss), intervals=IntervalOptions(draws=0))
    values = {c.name: c.value for c in law.coefficients if names is None or c.name in names}
    place = far(case, design)
    return values | ({"far": at_place(law, place)} if place else {})


def at_place(law: Law, place: Mapping[str, float]) -> float:
    further = {name: x for name, x in place.items() if name not in {"N", "D"}}
    return float(predict(law, place["N"], place["D"], features=further))


def tiled(points: Points, count: int) -> Points:
    """Return the table that many times, without trajectories."""
    features = {name: np.tile(column, count) for name, column in points.features.items()}
    columns = (np.tile(x, count) for x in (points.N, points.D, points.loss))
    return Points(*columns, features=features)


def form_of(case: Case) -> str:
    return WORLDS[case.law].form if case.law in WORLDS else case.law


def experiment(case: Case, seed: int, truth: Mapping[str, float]) -> dict[str, object]:
    """Return per coefficient whether it is covered and how wide its interval is; or why the law was refused."""
    points = noisy(exact_points(case), case, seed)
    options = IntervalOptions(method=IntervalMethod(case.method), draws=case.size[1], seed=seed)
    try:
        law = fit_law(points, form_of(case), objective=Objective(case.loss), intervals=options)
    except LawRefusedError as refusal:
        return {"refused": str(refusal.finding.code)}
    limits = {c.name: (c.lower, c.upper) for c in law.coefficients} | far_limits(law, far(case, points))
    known = {name: pair for name, pair in limits.items() if None not in pair and name in truth}
    return {
        "findings": sorted({str(finding.code) for finding in law.findings}),
        "covered": {name: bool(low <= truth[name] <= high) for name, (low, high) in known.items()},
        "width": {name: float((high - low) / abs(truth[name])) for name, (low, high) in known.items()},
    }


def far_limits(law: Law, place: Mapping[str, float]) -> Mapping[str, tuple[float, float]]:
    """Return the limits of the loss beyond the design, by the law's draws."""
    if law.draws is None or not place:
        return {}
    further = {name: x for name, x in place.items() if name not in {"N", "D"}}
    low, high = np.nanquantile(predict_draws(law, place["N"], place["D"], features=further), [0.025, 0.975])
    return {"far": (float(low), float(high))}


def far(case: Case, points: Points) -> Mapping[str, float]:
    """Return ten times the largest N and D, or the world's own place."""
    if case.law in WORLDS:
        return WORLDS[case.law].far
    return {"N": 10 * float(points.N.max()), "D": 10 * float(points.D.max())}


def exact_points(case: Case) -> Points:
    """Return the design with losses without noise; each size and seed is a trunk."""
    if case.law in WORLDS:
        points = WORLDS[case.law].exact()
        return bent(points) if case.is_misspecified else points
    sizes, seeds, counts = DESIGNS[case.design]
    N, _, D = np.meshgrid(
        np.geomspace(1e7, 1e9, sizes), np.arange(seeds), np.geomspace(5e8, 3e10, counts), indexing="ij"
    )
    trunk = np.arange(sizes * seeds).repeat(counts)
    points = Points(N.ravel(), D.ravel(), np.ones(N.size), clusters=trunk)
    return replace(points, loss=surface(case, points.N, points.D))


def surface(case: Case, N: FloatArray, D: FloatArray) -> FloatArray:
    """Work the law out by Python's own arithmetic."""
    text = MISSPECIFIED if case.is_misspecified else form_named(case.law).formula.split("=", 1)[1]
    return np.asarray(
        eval(text.replace("^", "**"), {"__builtins__": {}}, {"N": N, "D": D, "C": 6 * N * D, **TRUTHS[case.law]})
    )


def noisy(points: Points, case: Case, seed: int) -> Points:
    rng = np.random.default_rng([seed, 7])
    draw = (lambda n: rng.standard_t(3, n) / np.sqrt(3)) if case.noise == "t3" else rng.standard_normal
    return scattered(points, WORLDS.get(case.law, PLAIN), draw)


def print_table(chosen: list[Case], state: Path) -> None:
    print(
        "| Law | Truth | Trunks × points | Noise | Objective | Method | Experiments | Pooled % | Lowest % "
        "| 10 N, 10 D % |"
    )
    print("| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |")
    for case in chosen:
        rows = [row for row in rows_of(state / f"{case.name}.jsonl") if "covered" in row]
        if rows:
            print(f"| {' | '.join(cells(case, rows))} |")


def cells(case: Case, rows: list[dict[str, object]]) -> Iterator[str]:
    covered = [row["covered"] for row in rows]
    assert all(isinstance(row, dict) for row in covered)
    found = dict.fromkeys(name for row in covered for name in row if name != "far")
    names = [name for name in TRUTHS.get(case.law, found) if name in found]
    shares = {
        name: 100 * float(np.mean([row[name] for row in covered if name in row]))
        for name in (*names, "far")
        if any(name in row for row in covered)
    }
    yield case.law
    yield "misspecified" if case.is_misspecified else "correct"
    yield case.design.replace("x", " × ") if case.design in DESIGNS else shape_of(exact_points(case))
    yield {"normal": "normal", "t3": "Student's t, 3"}[case.noise]
    yield case.loss
    yield case.method
    yield str(len(rows))
    pooled = [row[name] for row in covered for name in names if name in row]
    yield f"{100 * float(np.mean(pooled)):.1f}"
    worst = min(names, key=lambda name: shares[name])
    yield f"{shares[worst]:.1f} ({worst})"
    yield f"{shares['far']:.1f}" if "far" in shares else "–"


def shape_of(points: Points) -> str:
    trunks = len(np.unique(np.asarray(points.clusters)))
    return f"{trunks} × {len(points) // trunks}"


if __name__ == "__main__":
    main()
