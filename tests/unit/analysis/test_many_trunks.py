import numpy as np
import pytest

from scaling_laws.answers import next_trials as planning
from scaling_laws.answers.next_trials import next_trials
from scaling_laws.fit import IntervalOptions, fit_law
from scaling_laws.points import Points


def test_hundreds_of_trunks_stand_for_a_thousand(monkeypatch):
    rng = np.random.default_rng(4)
    N, D = 10 ** rng.uniform(6, 9, 1000), 10 ** rng.uniform(8, 11, 1000)
    loss = (1.7 + 400 / N**0.34 + 410 / D**0.28) * np.exp(0.01 * rng.standard_normal(1000))
    points = Points(N, D, loss)
    law = fit_law(points, intervals=IntervalOptions(draws=0))
    few = next_trials(law, points, 1e22)
    monkeypatch.setattr(planning, "MOST_TRUNKS", 1000)
    monkeypatch.setattr(planning, "MOST_TRIALS", 4)
    all_of_them = next_trials(law, points, 1e22)
    assert few.width == pytest.approx(all_of_them.width, rel=1e-9)
    monkeypatch.setattr(planning, "MOST_TRUNKS", 256)
    same_count = next_trials(law, points, 1e22)
    assert same_count.additions[-1].width == pytest.approx(all_of_them.additions[-1].width, rel=0.05)
    assert len(few.proposals) > len(same_count.proposals)
