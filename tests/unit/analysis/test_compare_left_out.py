"""What a comparison cannot say of a form, it gives a reason for."""

import numpy as np
import pytest

from scaling_laws.answers.compare import compare_forms
from scaling_laws.points import Points

REASONS = {
    "Chinchilla": None,
    "loss = E + A/N^a": None,
    "Linear": "its back-tests make it anew",
    "ChinchillaEnvelope": "speaks of the best models alone",
    "Amdahl": "It predicts throughput, not the loss",
}


def table() -> Points:
    """Return twelve runs of six checkpoints, with workers and throughputs."""
    N, D = (x.ravel() for x in np.meshgrid(np.geomspace(1e7, 1e10, 12), np.geomspace(1e9, 1e12, 6), indexing="ij"))
    rng = np.random.default_rng(0)
    workers = np.tile(2.0 ** np.arange(6), 12)
    columns = {
        "workers": workers,
        "throughput": 1e3 * workers / (1 + 0.02 * (workers - 1)) * np.exp(0.01 * rng.standard_normal(72)),
    }
    loss = (1.7 + 400 / N**0.34 + 2000 / D**0.37) * np.exp(0.003 * rng.standard_normal(72))
    return Points(N, D, loss, clusters=np.repeat(np.arange(12), 6), features=columns)


@pytest.mark.parametrize("form", REASONS)
def test_a_form_without_likelihood_says_why(form: str) -> None:
    (found,) = compare_forms(table(), (form,))
    assert found.refused is None
    reason = REASONS[form]
    if reason is None:
        assert found.left_out is None
        assert found.cross_validated_error is not None
    else:
        assert found.cross_validated_error is None
        assert reason in str(found.left_out)
    assert bool(found.backtests) == (form not in {"ChinchillaEnvelope", "Amdahl"})
