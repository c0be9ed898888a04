"""Where output goes: results to standard output, the rest to standard error."""

import os
import sys
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from rich.console import Console

_WIDTH_OF_A_FILE = 120
_NARROWEST = 40
"""Below this, tables would lose their columns: some build servers say COLUMNS=0."""
_WIDEST = 132
"""Beyond this, lines of a wide terminal are hard to follow."""


def output() -> "Console":
    """Return the console for results."""
    return _console(sys.stdout)


def messages() -> "Console":
    """Return the console for progress, warnings and errors."""
    return _console(sys.stderr)


def _console(stream: TextIO) -> "Console":
    from rich.console import Console

    class Pipe(Console):
        def on_broken_pipe(self) -> None:
            raise BrokenPipeError  # rich would exit with 1, and say nothing

    console = Pipe(file=stream, highlight=False, markup=False, emoji=False)
    if not console.is_terminal and "COLUMNS" not in os.environ:
        console.width = _WIDTH_OF_A_FILE
    console.width = max(_NARROWEST, min(console.width, _WIDEST))
    return console
