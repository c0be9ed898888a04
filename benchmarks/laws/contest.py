"""What fitters are timed on, and how: the table of Epoch, and rounds in which every contestant runs once."""

import csv
import os
import statistics
from collections.abc import Callable
from pathlib import Path

import numpy as np

from scaling_laws.points import Points

REPOSITORY = Path(__file__).resolve().parents[2]
DEFAULT = Path(os.environ.get("SCALING_DATA", REPOSITORY.parent / "shared" / "data"))
EPOCH = DEFAULT / "epoch_chinchilla" / "svg_extracted_data.csv"


def load(path: Path) -> Points:
    with path.open() as file:
        rows = list(csv.DictReader(file))
    N, C, loss = (np.array([float(row[key]) for row in rows]) for key in ("Model Size", "Training FLOP", "loss"))
    kept = loss < np.sort(loss)[-5]
    return Points(N[kept], (C / (6 * N))[kept], loss[kept])


def contest(title: str, contestants: dict[str, Callable[[], tuple[float, float]]], *, rounds: int, result: str) -> None:
    """Print a row for each contestant: the median of its seconds, how many times the first one's, what it reached."""
    runs: dict[str, list[tuple[float, float]]] = {name: [] for name in contestants}
    for _ in range(rounds):
        for name, run in contestants.items():
            runs[name].append(run())
    medians = {name: statistics.median(seconds for seconds, _ in row) for name, row in runs.items()}
    own = next(iter(medians.values()))
    print(f"\n| {title} | seconds | times this | {result} |\n|---|---|---|---|")
    for name, row in runs.items():
        reached = f"{row[0][1]:.13g}" if row[0][1] else "–"
        times = medians[name] / own
        print(f"| {name} | {medians[name]:.3g} | {times:{',.0f' if times >= 100 else '.3g'}} | {reached} |")
