"""A power law with one break: Caballero et al. 2022, "Broken Neural Scaling Laws" (arXiv:2210.14891, equation 1).

Around C = d the slope turns from c0 to c0 + c1, within a width that f sets: the smaller, the sharper.
"""

from scaling_laws.forms.expression import Coefficient, ExpressionForm

BROKEN = ExpressionForm(
    name="BNSL",
    formula="L = E + A/C^c0*(1 + (C/d)^(1/f))^(-c1*f)",
    variables=("C",),
    declared=(
        Coefficient("E", lower=0.0),
        Coefficient("A", is_positive=True),
        Coefficient("c0", lower=-2.0, upper=5.0, start=(0.0, 1.0)),
        Coefficient("d", is_positive=True, start=(1e-2, 1e2), per="C"),
        Coefficient("f", is_positive=True, lower=0.01, upper=10.0, start=(0.05, 2.0)),
        Coefficient("c1", lower=-5.0, upper=5.0, start=(-1.0, 1.0)),
    ),
)
