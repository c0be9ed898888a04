"""Data quality as a factor: what a treatment of the training data costs.

A treatment t changes what a token is worth (a multiplier q_t of D, Muennighoff et al. 2023, arXiv:2305.16264, treat
repeated tokens so), or what can be reached at all (an offset dE_t of the floor), or both; a share of random tokens, for
one, shifts the floor and does not act like fewer tokens. Where a quality Q > 0 has been measured, a token is worth
Q^gamma of one of quality 1 (Subramanyam et al. 2025, arXiv:2510.03313).
"""

from scaling_laws.forms.base import TableForm

DATA_QUALITY = TableForm(
    name="DataQuality",
    formula="L = E + A/N^alpha + B/(q_t*D)^beta + dE_t, or L = E + A/N^alpha + B/(D*Q^gamma)^beta",
    uses=("treatment", "Q"),
)
