"""Data mixing: Ye et al. 2024, "Data Mixing Laws" (arXiv:2403.16952, equation 7).

The loss on one validation domain after training on shares r_1 to r_M of M training domains, all else alike, is
L = c + k*exp(t_1*r_1 + ... + t_M*r_M). Where the shares add up to one, a constant may move between k and all t; the
last domain is then the one that the others are compared with, t_M = 0.
"""

from scaling_laws.forms.base import TableForm

MIXING = TableForm(
    name="Mixing",
    formula="L = c + k*exp(t_1*r_1 + t_2*r_2 + ...)",
    roles=("loss",),
    takes_features=True,
    prefix="r_",
)
