"""Sparse training: Frantar et al. 2023, "Scaling Laws for Sparsely-Connected Foundation Models" (arXiv:2309.08520).

S is the share of weights that are zero (a column of the points, 0 to below 1) and N counts the others.
"""

from scaling_laws.forms.expression import Coefficient, ExpressionForm

SPARSITY = ExpressionForm(
    name="Sparsity",
    formula="L = (a_S*(1 - S)^b_S + c_S)*(1/N)^b_N + (a_D/D)^b_D + c",
    variables=("N", "D", "S"),
    declared=(
        Coefficient("a_S", is_positive=True),
        Coefficient("b_S", is_positive=True, start=(0.1, 3.0)),
        Coefficient("c_S", is_positive=True),
        Coefficient("b_N", is_positive=True, start=(0.05, 1.0)),
        Coefficient("a_D", is_positive=True, start=(1e-4, 1e4), per="D"),
        Coefficient("b_D", is_positive=True, start=(0.05, 1.5)),
        Coefficient("c", lower=0.0),
    ),
)
