"""Training in low precision: Kumar et al. 2024, "Scaling Laws for Precision" (arXiv:2411.04330, section 4).

With weights of P bits (a column of the points) N parameters count as N*(1 - exp(-P/gamma)).
"""

from scaling_laws.forms.expression import Coefficient, ExpressionForm

PRECISION = ExpressionForm(
    name="Precision",
    formula="L = E + A/(N*(1 - exp(-P/gamma)))^alpha + B/D^beta",
    variables=("N", "D", "P"),
    declared=(
        Coefficient("E", lower=0.0),
        Coefficient("A", is_positive=True),
        Coefficient("gamma", is_positive=True, start=(0.2, 20.0)),
        Coefficient("alpha", lower=0.0, upper=10.0, start=(0.05, 1.5)),
        Coefficient("B", is_positive=True),
        Coefficient("beta", lower=0.0, upper=10.0, start=(0.05, 1.5)),
    ),
)
