"""Power laws with breaks: Caballero et al. 2022, "Broken Neural Scaling Laws" (arXiv:2210.14891, equation 1).

Around C = d1 the slope turns from c0 to c0 + c1, within a width that f1 sets: the smaller, the sharper; and so on for
further breaks, whose number cross-validation chooses.
"""

from scaling_laws.forms.base import TableForm
from scaling_laws.forms.expression import Coefficient, ExpressionForm

BROKEN = TableForm(
    name="BNSL",
    formula="L = E + A/C^c0*(1 + (C/d1)^(1/f1))^(-c1*f1)*..., the number of breaks by cross-validation",
    roles=("loss",),
    takes_features=True,
)


def with_breaks(count: int, variable: str = "C") -> ExpressionForm:
    """Return the form with that many breaks in a variable."""
    turns = "".join(f"*(1 + ({variable}/d{i})^(1/f{i}))^(-c{i}*f{i})" for i in range(1, count + 1))
    further = (coefficient for i in range(1, count + 1) for coefficient in _break(i, variable))
    return ExpressionForm(
        name=f"BNSL{count}",
        formula=f"L = E + A/{variable}^c0{turns}",
        variables=(variable,),
        declared=(
            Coefficient("E", lower=0.0),
            Coefficient("A", is_positive=True),
            Coefficient("c0", lower=-2.0, upper=5.0, start=(0.0, 1.0)),
            *further,
        ),
        interchangeable=tuple((f"d{i}", f"f{i}", f"c{i}") for i in range(1, count + 1)),
    )


def _break(i: int, variable: str) -> tuple[Coefficient, ...]:
    return (
        Coefficient(f"d{i}", is_positive=True, start=(1e-2, 1e2), per=variable),
        Coefficient(f"f{i}", is_positive=True, lower=0.01, upper=10.0, start=(0.05, 2.0)),
        Coefficient(f"c{i}", lower=-5.0, upper=5.0, start=(-1.0, 1.0)),
    )


BROKEN_1, BROKEN_2, BROKEN_3 = with_breaks(1), with_breaks(2), with_breaks(3)
