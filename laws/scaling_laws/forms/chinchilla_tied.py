"""Approach 3 with one exponent, alpha = beta, for size and data: Muennighoff et al. 2023 (arXiv:2305.16264)."""

from scaling_laws.forms.base import LogSumExpForm, Term

CHINCHILLA_TIED = LogSumExpForm(
    name="ChinchillaTied",
    formula="L = E + A/N^alpha + B/D^alpha",
    coefficients=("E", "A", "B", "alpha"),
    terms=(Term("E"), Term("A", (("alpha", "N"),)), Term("B", (("alpha", "D"),))),
)
