"""Laws that would be refused after all training, whatever it gave: found before anything is spent."""

from collections.abc import Iterator
from difflib import get_close_matches

from scaling_api.problems import Problem
from scaling_api.v1alpha1.experiment import ExperimentSpec
from scaling_api.v1alpha1.laws import EXPRESSION
from scaling_laws.analysis import JOINT, LINEAR
from scaling_laws.fit.features import LOG
from scaling_laws.forms import form_names, own_form
from scaling_laws.records import FEATURE_COLUMNS


def unfittable(spec: ExperimentSpec) -> tuple[Problem, ...]:
    """Return one problem for each law whose form or feature does not exist."""
    return (*_unknown_forms(spec), *_wrong_features(spec), *_wrong_expressions(spec))


def _unknown_forms(spec: ExperimentSpec) -> Iterator[Problem]:
    known = (*form_names(), JOINT, EXPRESSION)
    for index, law in enumerate(spec.laws):
        if law.form not in known:
            near = get_close_matches(law.form, known, n=1)
            advice = f"did you mean {near[0]}?" if near else f"the forms are {', '.join(known)}"
            yield Problem(f"spec.laws[{index}].form", f"there is no form {law.form}; {advice}")


def _wrong_features(spec: ExperimentSpec) -> Iterator[Problem]:
    for index, law in enumerate(spec.laws):
        for feature in law.features:
            match = LOG.fullmatch(feature)
            column = match[1] if match else feature
            if law.form == LINEAR and column not in FEATURE_COLUMNS:
                known = ", ".join(FEATURE_COLUMNS)
                yield Problem(f"spec.laws[{index}].features", f"there is no column {column}; the columns are {known}")


def _wrong_expressions(spec: ExperimentSpec) -> Iterator[Problem]:
    known = (*FEATURE_COLUMNS, "loss", "throughput", "S", "P")
    for index, law in enumerate(spec.laws):
        if law.expression is None:
            continue
        where = f"spec.laws[{index}].expression"
        try:
            form = own_form(law.expression)
        except ValueError as mistake:
            yield Problem(where, str(mistake))
            continue
        variables, coefficients = form.split_names(frozenset(known))
        if form.equation.response not in known:
            yield Problem(where, f"there is no column {form.equation.response}; the columns are {', '.join(known)}")
        elif not coefficients:
            yield Problem(where, "all names are columns, so that there is nothing to fit")
        elif not variables:
            yield Problem(where, f"no name is a column; the columns are {', '.join(known)}")
