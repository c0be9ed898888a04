"""Approach 3 of Hoffmann et al. 2022 (arXiv:2203.15556, equation 2)."""

from scaling_laws.forms.base import LogSumExpForm, Term

CHINCHILLA = LogSumExpForm(
    name="Chinchilla",
    formula="L = E + A/N^alpha + B/D^beta",
    coefficients=("E", "A", "B", "alpha", "beta"),
    terms=(Term("E"), Term("A", (("alpha", "N"),)), Term("B", (("beta", "D"),))),
)
