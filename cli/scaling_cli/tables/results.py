"""The points of a results folder."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from scaling_api.v1alpha1.laws import ParameterConvention
from scaling_cli.errors import CommandError
from scaling_cli.results import current_records, open_results
from scaling_cli.tables.points import TableOptions, TablePoints
from scaling_laws.columns import RESULT_FEATURES, varying_features
from scaling_laws.form_tables import points_for
from scaling_laws.forms import LinearForm, form_named
from scaling_laws.points import Documents, Points

if TYPE_CHECKING:
    from scaling_trainer.results import ResultsFolder


def read_results(folder: Path, form: str, options: TableOptions) -> TablePoints:
    """Return the points of a folder that a form is fitted on: for most, dense models of the first treatment.

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
    declared = form_named(form)
    points = points_for(records, declared, convention=convention, treatment=treatment)
    if isinstance(declared, LinearForm):
        features = features or varying_features(points, RESULT_FEATURES)
    if not len(points):
        raise CommandError(f"{folder}: no trial has a result yet; run the experiment to its end first.")
    notes: tuple[str, ...] = ()
    if options.with_documents:
        points = replace(points, documents=_documents(results, points))
        assert points.documents is not None
        notes = (f"Intervals also take other held-out documents, {points.documents.loss.shape[1]:,} at a time.",)
    return TablePoints(points, {}, notes, features)


def _documents(results: "ResultsFolder", points: Points) -> Documents:
    """Return the losses by held-out document of every point.

    Raises:
        CommandError: a trial has none, or trials were evaluated on different documents.
    """
    from scaling_trainer.evaluate import DOCUMENTS_FILE, load_document_losses

    trials = [str(trial) for trial in points.features.get("trial", ())]
    folders = [results.trial_folder(trial) for trial in trials]
    absent = [trial for trial, folder in zip(trials, folders, strict=True) if not (folder / DOCUMENTS_FILE).is_file()]
    if absent or not trials:
        raise CommandError(
            f"{results.path}: --documents: {len(absent)} of {len(trials)} trials have no losses by document"
            f"{f', such as {absent[0]}' if absent else ''}."
        )
    found = [load_document_losses(folder) for folder in folders]
    if any(not np.array_equal(one.document, found[0].document) for one in found):
        raise CommandError(f"{results.path}: --documents: the trials were evaluated on different documents.")
    return Documents(np.array([one.loss for one in found]), found[0].tokens.astype(np.float64))
