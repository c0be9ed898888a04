"""The process's own streams."""

import sys
from io import BufferedReader
from typing import cast

from scaling_cli.errors import CommandError


def standard_input() -> BufferedReader:
    """Return standard input as bytes.

    Raises:
        CommandError: it is closed.
    """
    if sys.stdin is None:
        raise CommandError("standard input is closed: name a file instead of -.")
    return cast(BufferedReader, sys.stdin.buffer)
