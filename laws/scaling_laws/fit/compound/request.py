"""What a compound fit is asked for."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from scaling_laws.fit.options import IntervalOptions, Objective
from scaling_laws.forms.base import TableForm


@dataclass(frozen=True)
class CompoundRequest:
    """A form that depends on its table, and how it is to be fitted."""

    form: TableForm
    objective: Objective
    intervals: IntervalOptions
    features: tuple[str, ...] = ()
    """Columns that the user names."""
    fixed: Mapping[str, float] = field(default_factory=dict)
    """Coefficients that are not fitted."""
