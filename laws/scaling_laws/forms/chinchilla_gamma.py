"""Approach 3 with an exponent on the sum of both terms, between Chinchilla (gamma = 1) and Kaplan's joint law.

Hoffmann et al. 2022 (arXiv:2203.15556, equation 2) has gamma = 1; Kaplan et al. 2020 (arXiv:2001.08361, equation 1.5)
puts the sum of both shortages under one exponent; with gamma free, the data decide (Caballero et al. 2022,
arXiv:2210.14891, compare such forms).
"""

from scaling_laws.forms.expression import Coefficient, ExpressionForm

CHINCHILLA_GAMMA = ExpressionForm(
    name="ChinchillaGamma",
    formula="L = E + (A/N^alpha + B/D^beta)^gamma",
    variables=("N", "D"),
    declared=(
        Coefficient("E", lower=0.0),
        Coefficient("A", is_positive=True, start=(1.0, 1e6)),
        Coefficient("alpha", lower=0.0, upper=10.0, start=(0.1, 1.0)),
        Coefficient("B", is_positive=True, start=(1.0, 1e6)),
        Coefficient("beta", lower=0.0, upper=10.0, start=(0.1, 1.0)),
        Coefficient("gamma", is_positive=True, lower=0.01, upper=100.0, start=(0.3, 3.0)),
    ),
)
