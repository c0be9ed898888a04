"""Results folders, read for a command."""

from pathlib import Path
from typing import TYPE_CHECKING

from scaling_cli.errors import CommandError

if TYPE_CHECKING:
    from scaling_trainer.results import ResultsFolder


def open_results(folder: Path) -> "ResultsFolder":
    """Return what a results folder holds now; a run may be going on in it.

    Raises:
        CommandError: it does not exist, or is no results folder.
    """
    from scaling_trainer.errors import ConfigurationError
    from scaling_trainer.results import ResultsFolder

    if not folder.exists():
        raise CommandError(f"{folder}: there is no such folder.")
    try:
        return ResultsFolder.read(folder)
    except ConfigurationError as error:
        raise CommandError(str(error)) from None
