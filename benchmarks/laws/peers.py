"""Time this fitter beside the peers that install from the package index, in one interleaved run.

python3.12 -m venv PEERS && PEERS/bin/pip install lmfit chinchilla simple-scaling-laws 'pydantic>=2.12' typer rich
PYTHONPATH=laws:crds:cli PEERS/bin/python benchmarks/laws/peers.py [TABLE] [--rounds 5]

TABLE is Epoch's CSV of 245 points, of which the five of highest loss are left out. All contestants run under the same
interpreter on one thread, but for chinchilla, which starts a process a core. The fits of lmfit and chinchilla run on a
share of the usual 4,500 starts, and their time is scaled up. Whole commands, imports included, make 1,000 wild-cluster
draws, with every point a run of its own.
"""

import argparse
import contextlib
import csv
import io
import itertools
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

os.environ["OPENBLAS_NUM_THREADS"] = os.environ["OMP_NUM_THREADS"] = "1"  # before numpy starts its threads

import numpy as np
from contest import EPOCH, contest, load

from scaling_laws.fit import IntervalOptions, fit_law
from scaling_laws.points import Points

DELTA = 1e-3
GRID = {
    "a": np.arange(0, 30, 5.0),
    "b": np.arange(0, 30, 5.0),
    "e": np.arange(-1, 1.5, 0.5),
    "alpha": np.arange(0, 2.5, 0.5),
    "beta": np.arange(0, 2.5, 0.5),
}
"""Starts of Hoffmann et al. 2022, section D.2."""
STARTS = 4500


def residuals(points: Points, x: np.ndarray) -> np.ndarray:
    a, b, e, alpha, beta = x
    terms = np.stack([a - alpha * np.log(points.N), b - beta * np.log(points.D), np.full(len(points), e)])
    return np.logaddexp.reduce(terms) - np.log(points.loss)


def huber_sum(r: np.ndarray) -> float:
    clipped = np.clip(r, -DELTA, DELTA)
    return float(np.sum(clipped * (r - clipped / 2)))


def ours(points: Points) -> tuple[float, float]:
    begun = time.perf_counter()
    law = fit_law(points, intervals=IntervalOptions(draws=0))
    return time.perf_counter() - begun, law.objective


def lmfit_grid(points: Points, share: int) -> tuple[float, float]:
    """Least squares with Huber's loss (trust region) from some of the starts."""
    import lmfit

    def fit(start: tuple[float, ...]) -> float:
        parameters = lmfit.create_params(**dict(zip(GRID, start, strict=True)))
        inner = lambda p: residuals(points, np.array([p[name].value for name in GRID]))  # noqa: E731
        found = lmfit.minimize(inner, parameters, method="least_squares", loss="huber", f_scale=DELTA)
        return huber_sum(inner(found.params))

    starts = list(itertools.product(*GRID.values()))[:: STARTS // share]
    begun = time.perf_counter()
    best = min(fit(start) for start in starts)
    return (time.perf_counter() - begun) * STARTS / len(starts), best


def chinchilla_grid(points: Points, share: int) -> tuple[float, float]:
    """The package's own search (BFGS, numerical gradients) from some of the starts, on all cores."""
    from chinchilla import Chinchilla

    grid = {"e": GRID["e"][1::2], "a": GRID["a"][1::3], "b": GRID["b"][1::3], "alpha": [0.5, 1.0], "beta": [0.5, 1.0]}

    def log_huber(y_true: np.ndarray, y_pred: np.ndarray) -> np.ndarray:
        r = np.log(y_true) - np.log(y_pred)
        clipped = np.clip(r, -DELTA, DELTA)
        return clipped * (r - clipped / 2)

    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
        model = Chinchilla(folder, param_grid=grid, loss_fn=log_huber, log_level=50)
        for n, d, loss in zip(points.N, points.D, points.loss, strict=True):
            model.append(N=float(n), D=float(d), loss=float(loss), C=float(6 * n * d))
        begun = time.perf_counter()
        model.fit()
        seconds = time.perf_counter() - begun
        p = model.params
    found = np.array([np.log(p["A"]), np.log(p["B"]), np.log(p["E"]), p["alpha"], p["beta"]])
    starts = int(np.prod([len(axis) for axis in grid.values()]))
    return seconds * STARTS / starts * os.cpu_count() if os.cpu_count() else seconds, huber_sum(
        residuals(points, found)
    )


def commands(points: Points, folder: Path) -> dict[str, Callable[[], tuple[float, float]]]:
    """Return whole commands on a table of the points, 1,000 draws each."""
    table = folder / "points.csv"
    with table.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("run", "N", "D", "loss"))
        writer.writerows(
            (f"r{i}", int(n), int(d), loss)
            for i, (n, d, loss) in enumerate(zip(points.N, points.D, points.loss, strict=True))
        )
    renamed = folder / "records.csv"
    renamed.write_text(
        table.read_text().replace("run,N,D,loss", "training_run_id,model_size__n,dataset_size__d,test_loss__ce", 1)
    )
    this = [sys.executable, "-m", "scaling_cli", "fit", str(table), "--form", "Chinchilla", "--columns", "cluster=run"]
    peer = shutil.which("scaling-laws", path=str(Path(sys.executable).parent))
    out = {"this: scaling fit": lambda: (timed([*this, "--bootstrap", "1000"]), 0.0)}
    if peer is not None:
        other = [peer, "fit", str(renamed), "--draws", "1000", "--quiet", "--output"]
        out["simple-scaling-laws: scaling-laws fit"] = lambda: (
            timed([*other, str(folder / f"{time.time_ns()}.slaw")]),
            0.0,
        )
    return out


def timed(command: list[str]) -> float:
    begun = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return time.perf_counter() - begun


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("table", nargs="?", type=Path, default=EPOCH)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--share", type=int, default=45, help="of the 4,500 starts, for lmfit")
    options = parser.parse_args()
    points = load(options.table)
    fits: dict[str, Callable[[], tuple[float, float]]] = {
        "this": lambda: ours(points),
        "lmfit (trust region, 4,500 starts)": lambda: lmfit_grid(points, options.share),
        "chinchilla (BFGS, 4,500 starts, all cores)": lambda: chinchilla_grid(points, options.share),
    }
    contest("global fit", fits, rounds=options.rounds, result="objective")
    with tempfile.TemporaryDirectory() as folder:
        contest("whole command, 1,000 draws", commands(points, Path(folder)), rounds=options.rounds, result="")


if __name__ == "__main__":
    main()
