"""The points of a results folder."""

from pathlib import Path

from scaling_api.v1alpha1.laws import ParameterConvention
from scaling_cli.errors import CommandError
from scaling_cli.results import current_records, open_results
from scaling_cli.tables.points import TableOptions, TablePoints
from scaling_laws.columns import RESULT_FEATURES, varying_features
from scaling_laws.forms import LinearForm, form_named
from scaling_laws.records import points_from_records, table_from_records


def read_results(folder: Path, form: str, options: TableOptions) -> TablePoints:
    """Return the points of a folder: dense ones of the first treatment, or every model for a linear law.

    Raises:
        CommandError: it is no results folder, or options were given that need a table.
    """
    if options.columns or options.where or options.drop_invalid:
        raise CommandError(
            f"{folder}: --columns, --where and --drop-invalid are for tables; write one with "
            f"`scaling trials {folder} -o csv` and fit that."
        )
    results = open_results(folder)
    records = current_records(results)
    convention = ParameterConvention(options.parameters.capitalize())
    treatment = results.experiment.spec.sweep.data.treatments[0].name
    features: tuple[str, ...] = options.features
    if isinstance(form_named(form), LinearForm):
        points = table_from_records(records, convention=convention)
        features = features or varying_features(points, RESULT_FEATURES)
    else:
        points = points_from_records(records, convention=convention, treatment=treatment)
    if not len(points):
        raise CommandError(f"{folder}: no trial has a result yet; run the experiment to its end first.")
    return TablePoints(points, {}, (), features)
