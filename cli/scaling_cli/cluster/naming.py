"""Whether a word on the command line is a results folder or an experiment on a cluster."""

import os
import re
from pathlib import Path

from scaling_api.v1alpha1.base import NAME_LENGTH, NAME_PATTERN
from scaling_cli.cluster.options import ClusterOptions

_OF_A_FOLDER = ("experiment.json", "journal")


def is_folder(word: str, options: ClusterOptions) -> bool:
    """Return whether a results folder is meant: a path, or the name of a folder that holds results.

    With options of a cluster it is an experiment's name, whatever folders there are.
    """
    if os.sep in word or len(word) > NAME_LENGTH or not re.fullmatch(NAME_PATTERN, word):
        return True
    return not options.is_given and any((Path(word) / name).exists() for name in _OF_A_FOLDER)


def means_folder_alone(word: str, options: ClusterOptions) -> bool:
    """Return whether a word can only be a folder, as there is no cluster to ask for an experiment of the name.

    Raises:
        CommandError: there is neither a cluster nor a folder, or the word is empty.
    """
    from scaling_cli.cluster.configuration import access
    from scaling_cli.cluster.experiments import require_name
    from scaling_cli.errors import CommandError

    if is_folder(word or require_name(word), options):
        return True
    if options.is_given:
        return False
    try:
        access(options)
    except CommandError as error:
        if Path(word).exists():
            return True
        raise CommandError(f"{error} There is no results folder {word} either.", exit_code=error.exit_code) from None
    return False
