"""The power laws without a floor of Kaplan et al. 2020 (arXiv:2001.08361): equations 1.1, 1.2, 1.3 and 1.5.

Nc, Dc and Cc are where the loss would be one nat; with exponents near 0.08 they lie many decades beyond the points.
"""

from scaling_laws.forms.expression import Coefficient, ExpressionForm

_EXPONENT = (0.02, 0.5)
_BEYOND = (1e-2, 1e12)
"""Range of starts of Nc, Dc and Cc, in typical sizes of their variable."""
_FURTHEST = 1e250
"""Of Nc, Dc and Cc: where the loss would be one, which other units of the loss move by powers of 1/alpha."""

KAPLAN_N = ExpressionForm(
    name="KaplanN",
    formula="L = (Nc/N)^alpha_N",
    variables=("N",),
    declared=(
        Coefficient("Nc", is_positive=True, lower=1 / _FURTHEST, upper=_FURTHEST, start=_BEYOND, per="N"),
        Coefficient("alpha_N", is_positive=True, start=_EXPONENT),
    ),
)

KAPLAN_D = ExpressionForm(
    name="KaplanD",
    formula="L = (Dc/D)^alpha_D",
    variables=("D",),
    declared=(
        Coefficient("Dc", is_positive=True, lower=1 / _FURTHEST, upper=_FURTHEST, start=_BEYOND, per="D"),
        Coefficient("alpha_D", is_positive=True, start=_EXPONENT),
    ),
)

KAPLAN_C = ExpressionForm(
    name="KaplanC",
    formula="L = (Cc/C)^alpha_C",
    variables=("C",),
    declared=(
        Coefficient("Cc", is_positive=True, lower=1 / _FURTHEST, upper=_FURTHEST, start=_BEYOND, per="C"),
        Coefficient("alpha_C", is_positive=True, start=_EXPONENT),
    ),
)

KAPLAN = ExpressionForm(
    name="Kaplan",
    formula="L = ((Nc/N)^(alpha_N/alpha_D) + Dc/D)^alpha_D",
    variables=("N", "D"),
    declared=(
        Coefficient("Nc", is_positive=True, lower=1 / _FURTHEST, upper=_FURTHEST, start=_BEYOND, per="N"),
        Coefficient("alpha_N", is_positive=True, start=_EXPONENT),
        Coefficient("alpha_D", is_positive=True, start=_EXPONENT),
        Coefficient("Dc", is_positive=True, lower=1 / _FURTHEST, upper=_FURTHEST, start=_BEYOND, per="D"),
    ),
)
