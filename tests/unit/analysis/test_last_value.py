import tracemalloc

import numpy as np
import pytest

from scaling_laws.answers import backtest, nearest
from scaling_laws.answers.nearest import last_value
from scaling_laws.points import Points, select


def scattered(count, *, seed=0):
    rng = np.random.default_rng(seed)
    N, D = 10 ** rng.uniform(6, 9, count), 10 ** rng.uniform(8, 11, count)
    return Points(N, D, 1.7 + 400 / N**0.34 + 410 / D**0.28)


def test_points_at_one_distance_share_the_say():
    seen = Points(np.array([1e6, 1e6, 1e6, 4e6]), np.array([1e8, 1e8, 4e8, 2e8]), np.array([3.0, 3.2, 2.8, 2.0]))
    unseen = Points(np.array([1e6, 8e6]), np.array([2e8, 2e8]), np.ones(2))
    assert last_value(seen, unseen) == pytest.approx([3.0, 2.0])


def test_a_tree_finds_what_all_distances_find(monkeypatch):
    points = scattered(1000)
    held = points.N > 1e8
    seen, unseen = select(points, ~held), select(points, held)
    expected = last_value(seen, unseen)
    monkeypatch.setattr(nearest, "MOST_PAIRS", 0)
    assert np.array_equal(last_value(seen, unseen), expected)


def test_memory_grows_with_the_points_and_not_with_their_square(make_law, truth):
    points = scattered(40_000)
    held = points.N > 5e8  # 36,000 beside 4,000: a matrix of more than 1 GB
    law = make_law(truth, spread=0.001, draws=200)
    backtest(select(points, np.arange(20)), np.arange(20) < 2, lambda _: law, label="what is imported on the way")
    tracemalloc.start()
    result = backtest(points, held, lambda _: law, label="the largest sizes")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert result is not None
    assert result.held_out_points > 3000
    assert peak < 200e6
