"""Digits of a penalty's coefficients do not depend on the last bits of what they are fitted to."""

import numpy as np
import pytest

from scaling_laws.penalties.fit import Pairs, fit_candidate
from scaling_laws.penalties.formulas import CANDIDATES, Candidate, Sizes

WITHOUT_SURFACE = [candidate for candidate in CANDIDATES if candidate.names and not candidate.needs_surface]


@pytest.fixture(scope="module")
def pairs() -> Pairs:
    """Penalties of 4 x 4 sizes that fall with N and grow with D, with noise that no formula explains."""
    n, d = np.meshgrid([1e4, 3.3e4, 1.15e5, 2.5e5], [5e5, 8e5, 1.25e6, 2e6])
    sizes = Sizes(N=n.ravel(), D=d.ravel(), compressible=n.ravel())
    noise = np.random.default_rng(0).normal(0.0, 0.005, n.size)
    return Pairs(sizes, 0.05 * (sizes.N / 5e4) ** -0.3 * (sizes.D / 1e6) ** 0.4 + noise, np.arange(n.size) % 4)


@pytest.mark.parametrize("candidate", WITHOUT_SURFACE, ids=lambda candidate: candidate.form)
def test_other_last_bits_leave_nine_digits(candidate: Candidate, pairs: Pairs) -> None:
    bits = np.random.default_rng(1).choice([-np.inf, np.inf], len(pairs))
    other = Pairs(pairs.sizes, np.nextafter(pairs.penalty, bits), pairs.clusters)
    fitted, again = (fit_candidate(candidate, each, None) for each in (pairs, other))
    assert not fitted.on_bound
    for name in candidate.names:
        assert again[name] == pytest.approx(fitted[name], rel=1e-9)
