"""Repeated data: Muennighoff et al. 2023, "Scaling Data-Constrained Language Models" (arXiv:2305.16264, section 3).

D tokens are U unique ones (a column of the points) and their repetitions, whose worth decays with the constant R_D; of
the N parameters those beyond the compute-optimal number for U tokens decay likewise with R_N. With one exponent alpha
for both terms that number is U*(A/B)^(1/alpha). A, B, E and alpha are often taken from a fit to unrepeated data:
`dataclasses.replace(DATA_CONSTRAINED, fixed={...})`.
"""

from scaling_laws.forms.expression import Coefficient, ExpressionForm

_BASE = "min(N, U*(A/B)^(1/alpha))"
_SIZE = f"{_BASE}*(1 + R_N*(1 - exp((1 - N/{_BASE})/R_N)))"
_TOKENS = "U*(1 + R_D*(1 - exp((1 - D/U)/R_D)))"

DATA_CONSTRAINED = ExpressionForm(
    name="DataConstrained",
    formula=f"L = E + A/({_SIZE})^alpha + B/({_TOKENS})^alpha",
    variables=("N", "D", "U"),
    declared=(
        Coefficient("E", lower=0.0),
        Coefficient("A", is_positive=True, start=(0.01, 3.0), term=("N", "alpha")),
        Coefficient("B", is_positive=True, start=(0.01, 3.0), term=("D", "alpha")),
        Coefficient("alpha", is_positive=True, start=(0.1, 1.0)),
        Coefficient("R_N", is_positive=True, start=(0.1, 300.0)),
        Coefficient("R_D", is_positive=True, start=(0.1, 300.0)),
    ),
)
