"""Laws that would be refused after all training, whatever it gave: found before anything is spent."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from scaling_api.problems import Problem
from scaling_api.v1alpha1.experiment import ExperimentSpec
from scaling_api.v1alpha1.laws import EXPRESSION, LossFunction
from scaling_laws.bench import JOINT, LINEAR
from scaling_laws.design.trajectory import DENSE
from scaling_laws.fit.features import LOG
from scaling_laws.forms import ExpressionForm, advice_on, form_names, own_form
from scaling_laws.records import FEATURE_COLUMNS

FITTED_BY: Final[Mapping[str, LossFunction]] = {
    LINEAR: LossFunction.MSE,
    "ChinchillaEnvelope": LossFunction.LOG_MSE,
    "ChinchillaIsoFLOP": LossFunction.LOG_MSE,
}
"""Forms that are fitted by least squares, and by nothing else."""


def unfittable(spec: ExperimentSpec) -> tuple[Problem, ...]:
    """Return one problem for each form, loss, feature and level that is asked for and does not exist or has no use."""
    return (
        *_unknown_forms(spec),
        *_wrong_losses(spec),
        *_wrong_features(spec),
        *_wrong_expressions(spec),
        *_unknown_levels(spec),
    )


def _unknown_levels(spec: ExperimentSpec) -> Iterator[Problem]:
    """Yield what in spec.ask.attribute is not in the sweep, and pairs of one model."""
    known = {
        "treatment": [level.name for level in spec.sweep.data.treatments],
        "pipeline": [DENSE.name, *(level.name for level in spec.sweep.compression if level.name != DENSE.name)],
    }
    for index, change in enumerate(spec.ask.attribute):
        if change.start == change.end:
            yield Problem(f"spec.ask.attribute[{index}].to", "from and to are the same model, so that nothing differs")
        for end, model in (("from", change.start), ("to", change.end)):
            for kind, names in known.items():
                asked = getattr(model, kind)
                if asked is not None and asked not in names:
                    where = f"spec.ask.attribute[{index}].{end}.{kind}"
                    yield Problem(where, f"there is no {kind} {asked}; the sweep has {', '.join(names)}")


def _unknown_forms(spec: ExperimentSpec) -> Iterator[Problem]:
    known = (*form_names(), JOINT, EXPRESSION)
    for index, law in enumerate(spec.laws):
        if law.form not in known:
            yield Problem(f"spec.laws[{index}].form", f"there is no form {law.form}; {advice_on(law.form, known)}")


def _wrong_losses(spec: ExperimentSpec) -> Iterator[Problem]:
    for index, law in enumerate(spec.laws):
        own = FITTED_BY.get(law.form)
        if own is not None and law.loss not in {None, own}:
            yield Problem(f"spec.laws[{index}].loss", f"{law.form} is fitted by {own} alone, found {law.loss}")


def _wrong_features(spec: ExperimentSpec) -> Iterator[Problem]:
    for index, law in enumerate(spec.laws):
        for feature in law.features:
            match = LOG.fullmatch(feature)
            column = match[1] if match else feature
            if law.form == LINEAR and column not in FEATURE_COLUMNS:
                known = ", ".join(FEATURE_COLUMNS)
                yield Problem(f"spec.laws[{index}].features", f"there is no column {column}; the columns are {known}")


def _without_columns(form: ExpressionForm, known: Sequence[str]) -> str:
    if idle := [name for name in form.equation.names_without_effect if name in known]:
        verb = "cancels" if len(idle) == 1 else "cancel"
        return f"{' and '.join(idle)} {verb} out, so that no column is left"
    return f"no name is a column; the columns are {', '.join(known)}"


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
            yield Problem(where, _without_columns(form, known))
