"""Results folders, read for a command."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from scaling_api.v1alpha1.trial import TrialRecord
from scaling_cli.errors import CommandError

if TYPE_CHECKING:
    from scaling_trainer.results import ResultsFolder

PLAN_FILE = "plan.json"


def open_results(folder: Path) -> "ResultsFolder":
    """Return what a results folder holds now; a run may be going on in it. What is damaged is said on standard error.

    Raises:
        CommandError: it does not exist, or is no results folder.
    """
    from scaling_trainer.errors import ConfigurationError
    from scaling_trainer.results import ResultsFolder

    if not folder.exists():
        raise CommandError(f"{folder}: there is no such folder.")
    try:
        results = ResultsFolder.read(folder)
    except ConfigurationError as error:
        raise CommandError(str(error)) from None
    except OSError as error:
        raise CommandError(f"{error.filename or folder}: cannot be read: {error.strerror or error}.") from None
    for warning in results.warnings:
        sys.stderr.write(f"{warning}\n")
    return results


def current_records(results: "ResultsFolder") -> tuple[TrialRecord, ...]:
    """Return the finished trials of the folder's plan. Those of an experiment since changed are left out, and counted.

    Trials of another learning rate or another corpus must not meet in one law.
    """
    records = results.records()
    planned = _planned(results.path)
    current = tuple(record for id_, record in records.items() if planned is None or id_ in planned)
    if others := len(records) - len(current):
        sys.stderr.write(
            f"{others} finished trials in {results.path} are not of the experiment as it was last run: left out.\n"
        )
    return current


def _planned(folder: Path) -> frozenset[str] | None:
    """Return the ids of the plan's trials; None where there is no plan to read."""
    try:
        plan = json.loads((folder / PLAN_FILE).read_bytes())
        return frozenset(trial["id"] for trial in plan["trials"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None
