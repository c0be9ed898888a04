"""Forms written as an expression: users' own, and the published ones that are no sum of power laws."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache

from scaling_laws.expressions import Equation, parse_equation

OWN_FORM = "Expression"
"""Name of a form that a user wrote as text."""

_parse = lru_cache(maxsize=64)(parse_equation)


@dataclass(frozen=True)
class Coefficient:
    """What is known of a coefficient before the fit."""

    name: str
    is_positive: bool = False
    """It is positive, and the fit sees its logarithm."""
    lower: float = float("-inf")
    upper: float = float("inf")
    start: tuple[float, float] | None = None
    """Range in which starts are drawn; None: over decades around what its units suggest."""
    per: str = ""
    """Variable, or 1/variable, in whose typical size `start` is counted; empty: none."""
    term: tuple[str, str] | None = None
    """Variable and exponent, where it stands before variable^-exponent: `start` is then that term's share of a typical
    response at the variable's typical size, so that starts follow the units of both."""

    def __post_init__(self) -> None:
        if not self.lower < self.upper:
            raise ValueError(f"The lower bound of {self.name} must be below its upper bound.")
        if self.start is not None and not self.start[0] < self.start[1]:
            raise ValueError(f"The range of starts of {self.name} must rise, not go from {self.start[0]:g} down.")


@dataclass(frozen=True)
class ExpressionForm:
    """A law given by an expression; see `scaling_laws.expressions` for the language.

    A name in the expression is a variable if it is among `variables`, or if it is a column of the points and neither
    declared nor fixed; all others are coefficients.
    """

    name: str
    """Registered name."""
    formula: str
    """Such as `L = E + A/N^alpha`; on the left the column that is predicted, L or loss for the loss."""
    variables: tuple[str, ...] = ()
    """Names that are columns in any case; points that lack one are refused."""
    declared: tuple[Coefficient, ...] = ()
    """Coefficients of which something is known."""
    fixed: Mapping[str, float] = field(default_factory=dict)
    """Coefficients that are not fitted, with their values."""
    starts: tuple[Mapping[str, float], ...] = ()
    """Starting values of all fitted coefficients, beside those that the fit finds by itself."""
    searches: bool = True
    """Whether the fit looks for starts by itself; without, only `starts` are used."""
    interchangeable: tuple[tuple[str, ...], ...] = ()
    """Groups of coefficients that may change places; a fit numbers them by the size of each group's first."""
    default_loss: str = "log-huber"
    """What is minimised unless the user says otherwise."""

    @property
    def equation(self) -> Equation:
        """The formula, parsed.

        Raises:
            ExpressionError: it is no formula.
        """
        return _parse(self.formula)

    def split_names(self, columns: frozenset[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Return variables and coefficients, given the names of the columns that exist."""
        own = {coefficient.name for coefficient in self.declared} | set(self.fixed)
        names = self.equation.names
        is_variable = [name in self.variables or (name in columns and name not in own) for name in names]
        pairs = list(zip(names, is_variable, strict=True))
        return tuple(name for name, yes in pairs if yes), tuple(name for name, yes in pairs if not yes)


def own_form(text: str) -> ExpressionForm:
    """Return the form that a user wrote, such as `loss = E + A*N^-alpha`; without a left-hand side it is the loss.

    Raises:
        ExpressionError: the text is no expression.
    """
    equation = _parse(text)
    return ExpressionForm(OWN_FORM, equation.text if "=" in text else f"loss = {equation.text}")


def is_expression(text: str) -> bool:
    """Whether a text is meant as an expression rather than as a form's name."""
    return re.fullmatch(r"[\w .-]*", text) is None or bool(re.search(r"\w\s*[-+*/^]\s*\w", text))
