"""Time the fit of a scaling law and its bootstrap beside the recipes that people use, in one interleaved run.

python benchmarks/laws/side_by_side.py [TABLE] [--rounds 3] [--share 0.01]

TABLE is Epoch's CSV of 245 points (default: $SCALING_DATA or ../shared/data); without it 240 synthetic points of the
same shape are used. The peers are written out below in scipy:

* Epoch's: BFGS with numerical gradients from the 4,500 starts of Hoffmann et al. 2022, and warm starts for resamples;
* L-BFGS-B with the analytic gradient, from the same starts;
* least_squares (trust region, Huber loss), warm-started resamples.

All use one thread: on problems this small the linear-algebra library's threads only wait for each other, which costs
the peers more than this. The slow ones run on a share of their starts or resamples, evenly taken, and their time is
scaled up.
"""

import argparse
import itertools
import os
import time
from collections.abc import Callable
from pathlib import Path

os.environ["OPENBLAS_NUM_THREADS"] = os.environ["OMP_NUM_THREADS"] = "1"  # before numpy starts its threads

import numpy as np
from contest import EPOCH, contest, load
from scipy.optimize import least_squares, minimize

from scaling_laws.fit import IntervalOptions, fit_law
from scaling_laws.points import Points

DELTA = 1e-3
DRAWS = 4000


def synthetic() -> Points:
    rng = np.random.default_rng(0)
    N, C = np.exp(rng.uniform(18, 23, 240)), np.exp(rng.uniform(42, 51, 240))
    D = C / (6 * N)
    return Points(N, D, (1.82 + 478 / N**0.347 + 2143 / D**0.367) * np.exp(0.0075 * rng.standard_t(3, 240)))


class Recipe:
    """Epoch's objective on (a, b, e, alpha, beta), a point's log loss against logsumexp."""

    def __init__(self, points: Points) -> None:
        self.n, self.d, self.y = np.log(points.N), np.log(points.D), np.log(points.loss)

    def residuals(self, x: np.ndarray, rows: np.ndarray | slice = slice(None)) -> np.ndarray:
        a, b, e, alpha, beta = x
        terms = np.stack([a - alpha * self.n[rows], b - beta * self.d[rows], np.full_like(self.y[rows], e)])
        return np.logaddexp.reduce(terms) - self.y[rows]

    def value(self, x: np.ndarray, rows: np.ndarray | slice = slice(None)) -> float:
        r = self.residuals(x, rows)
        clipped = np.clip(r, -DELTA, DELTA)
        return float(np.sum(clipped * (r - clipped / 2)))

    def value_and_gradient(self, x: np.ndarray) -> tuple[float, np.ndarray]:
        a, b, e, alpha, beta = x
        terms = np.stack([a - alpha * self.n, b - beta * self.d, np.full_like(self.y, e)])
        predicted = np.logaddexp.reduce(terms)
        shares, r = np.exp(terms - predicted), predicted - self.y
        clipped = np.clip(r, -DELTA, DELTA)
        slopes = np.stack([shares[0], shares[1], shares[2], -shares[0] * self.n, -shares[1] * self.d])
        return float(np.sum(clipped * (r - clipped / 2))), slopes @ clipped


def starts(share: float) -> tuple[list[np.ndarray], float]:
    """The grid of Hoffmann et al. 2022, table in section D.2; a share of it, and the factor that it stands for."""
    axes = [
        np.arange(0, 30, 5.0),
        np.arange(0, 30, 5.0),
        np.arange(-1, 1.5, 0.5),
        np.arange(0, 2.5, 0.5),
        np.arange(0, 2.5, 0.5),
    ]
    grid = [np.array(x) for x in itertools.product(*axes)]
    step = max(1, round(1 / share))
    return grid[::step], len(grid) / len(grid[::step])


def timed(action: Callable[[], float]) -> tuple[float, float]:
    begun = time.perf_counter()
    result = action()
    return time.perf_counter() - begun, result


def fits(points: Points, share: float) -> dict[str, Callable[[], tuple[float, float]]]:
    """Return per contestant a function that gives seconds and the objective reached."""
    recipe, (some, factor) = Recipe(points), starts(share)

    def ours() -> tuple[float, float]:
        return timed(lambda: fit_law(points, intervals=IntervalOptions(draws=0)).objective)

    def epoch() -> tuple[float, float]:
        seconds, best = timed(lambda: min(minimize(recipe.value, x, method="BFGS").fun for x in some))
        return seconds * factor, best

    def analytic() -> tuple[float, float]:
        solve = lambda x: minimize(recipe.value_and_gradient, x, jac=True, method="L-BFGS-B").fun  # noqa: E731
        seconds, best = timed(lambda: min(solve(x) for x in some))
        return seconds * factor, best

    return {"this": ours, "Epoch's recipe (BFGS, 4,500 starts)": epoch, "L-BFGS-B, analytic, 4,500 starts": analytic}


def bootstraps(points: Points, share: float) -> dict[str, Callable[[], tuple[float, float]]]:
    """Return per contestant a function that gives the seconds of 4,000 resamples and alpha's standard error."""
    recipe, size = Recipe(points), len(points)
    state = np.random.RandomState(42)
    resamples = [state.choice(size, size, replace=True) for _ in range(max(20, int(DRAWS * share)))]
    warm = minimize(recipe.value, np.array([6.17, 7.67, 0.597, 0.347, 0.367]), method="BFGS").x

    def ours() -> tuple[float, float]:
        return timed(
            lambda: fit_law(points, intervals=IntervalOptions(draws=DRAWS)).coefficients[3].standard_error or 0.0
        )

    def epoch() -> tuple[float, float]:
        solve = lambda rows: minimize(recipe.value, warm, args=(rows,), method="BFGS").x[3]  # noqa: E731
        seconds, error = timed(lambda: float(np.std([solve(rows) for rows in resamples])))
        return seconds * DRAWS / len(resamples), error

    def trust_region() -> tuple[float, float]:
        def solve(rows: np.ndarray) -> float:
            options = {"loss": "huber", "f_scale": DELTA, "x_scale": "jac"}
            return float(least_squares(lambda x: recipe.residuals(x, rows), warm, **options).x[3])

        seconds, error = timed(lambda: float(np.std([solve(rows) for rows in resamples])))
        return seconds * DRAWS / len(resamples), error

    return {"this, fit included": ours, "Epoch's recipe (BFGS, warm)": epoch, "least_squares, warm": trust_region}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("table", nargs="?", type=Path, default=EPOCH)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--share", type=float, default=0.01, help="of the peers' starts and resamples")
    options = parser.parse_args()
    points = load(options.table) if options.table.exists() else synthetic()
    print(f"{len(points)} points from {options.table.name if options.table.exists() else 'a synthetic sweep'}")
    contest("global fit", fits(points, options.share), rounds=options.rounds, result="objective")
    contest(
        "4,000 resamples", bootstraps(points, options.share), rounds=options.rounds, result="standard error of alpha"
    )


if __name__ == "__main__":
    main()
