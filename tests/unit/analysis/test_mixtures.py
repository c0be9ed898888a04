import numpy as np
import pytest

from scaling_laws.answers.corners import expected
from scaling_laws.answers.mixtures import mixture
from scaling_laws.fit import IntervalOptions, fit_law
from scaling_laws.points import Points

NAMES = ("web", "code", "wiki-en")


def mixtures(total=1.0):
    shares = np.random.default_rng(2).dirichlet([1.0, 1.0, 1.0], 30)
    loss = 1.5 + 0.9 * np.exp(shares @ np.array([-0.8, 0.5, 0.0]))
    columns = {name: total * column for name, column in zip(NAMES, shares.T, strict=True)}
    return Points(np.ones(30), np.ones(30), loss, features=columns)


def test_the_domain_that_is_left_out_takes_the_rest():
    points = mixtures()
    law = fit_law(points, "Mixing", features=NAMES, intervals=IntervalOptions(draws=0))
    truth = 1.5 + 0.9 * np.exp(-0.8 * 0.5 + 0.5 * 0.2)
    for model in (
        {"web": 0.5, "code": 0.2},
        {"web": 0.5, "wiki-en": 0.3},
        dict(zip(NAMES, (0.5, 0.2, 0.3), strict=True)),
    ):
        assert expected(law)(mixture(model, points, NAMES))[0] == pytest.approx(truth, rel=1e-6)


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ({"web": 0.5, "code": 0.5, "wiki-en": 0.2}, "add up to 1.2, and those of the points to 1"),
        ({"web": 0.2, "code": 0.2, "wiki-en": 0.2}, "add up to 0.6, and"),
        ({"web": 0.9, "code": 0.3}, "add up to 1.2, and"),
        ({"web": 1.1, "code": -0.1}, "code is the share of a domain and cannot be negative"),
        ({"web": 0.5}, "all domains but one; code, wiki-en are missing"),
        ({"web": 0.5, "books": 0.5}, "books is no domain of the law; these are web, code, wiki-en"),
    ],
)
def test_what_is_no_mixture_is_refused(model, message):
    with pytest.raises(ValueError, match=message):
        mixture(model, mixtures(), NAMES)


def test_shares_in_percent_add_up_to_a_hundred():
    points = mixtures(100.0)
    assert mixture({"web": 50.0, "code": 20.0}, points, NAMES) == {"web": 50.0, "code": 20.0}
    with pytest.raises(ValueError, match=r"add up to 0\.7, and those of the points to 100"):
        mixture({"web": 0.5, "code": 0.1, "wiki-en": 0.1}, points, NAMES)


def test_amounts_that_add_up_to_nothing_in_particular_are_all_named():
    points = mixtures()
    features = {name: np.asarray(column) * np.linspace(1, 2, 30) for name, column in points.features.items()}
    open_ended = Points(points.N, points.D, points.loss, features=features)
    assert mixture({"web": 0.9, "code": 0.9, "wiki-en": 0.1}, open_ended, NAMES)["wiki_en"] == 0.1
    with pytest.raises(ValueError, match="depends on code, wiki-en"):
        mixture({"web": 0.9}, open_ended, NAMES)
