"""The functional forms, by name. A new form is one declaration in its own file and one entry here."""

from collections.abc import Iterable
from difflib import get_close_matches

from scaling_laws.forms.approaches import ENVELOPE, ISOFLOP
from scaling_laws.forms.base import Form, LinearForm, LogSumExpForm, TableForm, Term
from scaling_laws.forms.broken import BROKEN, BROKEN_1, BROKEN_2, BROKEN_3
from scaling_laws.forms.chinchilla import CHINCHILLA
from scaling_laws.forms.chinchilla_gamma import CHINCHILLA_GAMMA
from scaling_laws.forms.chinchilla_tied import CHINCHILLA_TIED
from scaling_laws.forms.compression import COMPRESSION
from scaling_laws.forms.data_constrained import DATA_CONSTRAINED
from scaling_laws.forms.data_quality import DATA_QUALITY
from scaling_laws.forms.distillation import DISTILLATION
from scaling_laws.forms.expression import OWN_FORM, Coefficient, ExpressionForm, is_expression, own_form
from scaling_laws.forms.kaplan import KAPLAN, KAPLAN_C, KAPLAN_D, KAPLAN_N
from scaling_laws.forms.linear import LINEAR
from scaling_laws.forms.mixing import MIXING
from scaling_laws.forms.over_training import OVER_TRAINING
from scaling_laws.forms.parallel_efficiency import AMDAHL, GUSTAFSON, PARALLEL_EFFICIENCY, UNIVERSAL_SCALABILITY
from scaling_laws.forms.precision import PRECISION
from scaling_laws.forms.routed import FINE_GRAINED, ROUTED
from scaling_laws.forms.saturating import SATURATING_C, SATURATING_D, SATURATING_N
from scaling_laws.forms.sparsity import SPARSITY
from scaling_laws.forms.task_accuracy import TASK_ACCURACY

_ALL: tuple[Form, ...] = (
    CHINCHILLA, CHINCHILLA_TIED, CHINCHILLA_GAMMA, ENVELOPE, ISOFLOP, LINEAR, KAPLAN, KAPLAN_N, KAPLAN_D, KAPLAN_C,
    SATURATING_N, SATURATING_D, SATURATING_C, BROKEN, BROKEN_1, BROKEN_2, BROKEN_3, COMPRESSION, DATA_CONSTRAINED,
    DATA_QUALITY, MIXING, OVER_TRAINING, SPARSITY, PRECISION, ROUTED, FINE_GRAINED, DISTILLATION, TASK_ACCURACY,
    PARALLEL_EFFICIENCY, AMDAHL, GUSTAFSON, UNIVERSAL_SCALABILITY,
)  # fmt: skip
FORMS: dict[str, Form] = {form.name: form for form in _ALL}


def form_names() -> tuple[str, ...]:
    """Return the names that `fit_law` accepts."""
    return tuple(FORMS)


def form_named(name: str) -> Form:
    """Return the form of that name, or the form that an expression such as `loss = E + A*N^-alpha` writes down.

    Raises:
        ValueError: no form has that name, and the message lists those that exist; or the expression is none.
    """
    if is_expression(name):
        return own_form(name)
    if name not in FORMS:
        raise ValueError(f"There is no form named {name!r}; {advice_on(name, FORMS)}")
    return FORMS[name]


def advice_on(name: str, known: Iterable[str]) -> str:
    """Return which of the known names may have been meant, and all of them where none is near."""
    by_folded = {one.lower(): one for one in known}
    near = get_close_matches(name.lower(), by_folded, n=1)
    return f"did you mean {by_folded[near[0]]}?" if near else f"the forms are {', '.join(by_folded.values())}."


__all__ = [
    "FORMS",
    "OWN_FORM",
    "Coefficient",
    "ExpressionForm",
    "Form",
    "LinearForm",
    "LogSumExpForm",
    "TableForm",
    "Term",
    "advice_on",
    "form_named",
    "form_names",
    "own_form",
]
