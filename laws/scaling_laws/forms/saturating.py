"""A power law of one variable with a floor, L = E + A/x^alpha (Henighan et al. 2020, arXiv:2010.14701, eq. 1.1)."""

from scaling_laws.forms.expression import Coefficient, ExpressionForm


def _of(variable: str) -> ExpressionForm:
    return ExpressionForm(
        name=f"Saturating{variable}",
        formula=f"L = E + A/{variable}^alpha",
        variables=(variable,),
        declared=(
            Coefficient("E", lower=0.0),
            Coefficient("A", is_positive=True),
            Coefficient("alpha", lower=0.0, upper=10.0, start=(0.02, 1.5)),
        ),
    )


SATURATING_N, SATURATING_D, SATURATING_C = _of("N"), _of("D"), _of("C")
