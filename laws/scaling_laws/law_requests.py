"""Laws that would be refused after all training, whatever it gave: found before anything is spent."""

from collections.abc import Iterator
from difflib import get_close_matches

from scaling_api.problems import Problem
from scaling_api.v1alpha1.experiment import ExperimentSpec
from scaling_laws.analysis import JOINT, LINEAR
from scaling_laws.fit.features import LOG
from scaling_laws.forms import form_names
from scaling_laws.records import FEATURE_COLUMNS


def unfittable(spec: ExperimentSpec) -> tuple[Problem, ...]:
    """Return one problem for each law whose form or feature does not exist."""
    return (*_unknown_forms(spec), *_wrong_features(spec))


def _unknown_forms(spec: ExperimentSpec) -> Iterator[Problem]:
    known = (*form_names(), JOINT)
    for index, law in enumerate(spec.laws):
        if law.form not in known:
            near = get_close_matches(law.form, known, n=1)
            advice = f"did you mean {near[0]}?" if near else f"the forms are {', '.join(known)}"
            yield Problem(f"spec.laws[{index}].form", f"there is no form {law.form}; {advice}")
        elif law.features and law.form != LINEAR:
            yield Problem(f"spec.laws[{index}].features", f"features are for the form {LINEAR}, not for {law.form}")


def _wrong_features(spec: ExperimentSpec) -> Iterator[Problem]:
    for index, law in enumerate(spec.laws):
        for feature in law.features:
            match = LOG.fullmatch(feature)
            column = match[1] if match else feature
            if law.form == LINEAR and column not in FEATURE_COLUMNS:
                known = ", ".join(FEATURE_COLUMNS)
                yield Problem(f"spec.laws[{index}].features", f"there is no column {column}; the columns are {known}")
