"""The command `scaling`, which is also `kubectl scaling`."""

import errno
import os
import sys
from io import TextIOWrapper
from pathlib import Path, PurePath
from typing import Any, TextIO

import typer
from typer.core import TyperGroup

from scaling_cli.commands.fit import fit
from scaling_cli.commands.plan import plan
from scaling_cli.commands.report import report
from scaling_cli.commands.run import run
from scaling_cli.commands.trials import trials
from scaling_cli.commands.validate import validate
from scaling_cli.commands.version import version
from scaling_cli.errors import CommandError, ExitCode

BROKEN_PIPE = 141


class _Commands(TyperGroup):
    """Ends with a paragraph, not a traceback, when a command cannot go on."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except CommandError as error:
            sys.stdout.flush()
            sys.stderr.write(f"{error}\n")
            raise typer.Exit(int(error.exit_code)) from None


app = typer.Typer(
    cls=_Commands,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Plan, run and fit scaling-law experiments over compute, data and compression.",
    epilog="Exit codes: 0 done, 2 something to correct, 3 some trials failed, 4 a law was refused.",
)
for command in (validate, plan, run, fit, report, trials, version):
    app.command()(command)


def main() -> None:
    """Run the command line."""
    name = "kubectl scaling" if PurePath(sys.argv[0]).name == "kubectl-scaling" else "scaling"
    sys.stdout = sys.stdout or _nowhere()
    sys.stderr = sys.stderr or _nowhere()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):  # a terminal that cannot show a sign gets another, not an error
            stream.reconfigure(errors="replace")
    try:
        app(prog_name=name)
    except BrokenPipeError:
        # The reader, such as `head`, has seen enough. Python would complain again when it flushes at exit.
        sys.stdout = _nowhere()
        sys.exit(BROKEN_PIPE)
    except OSError as error:
        if error.errno != errno.ENOSPC or error.filename is not None:
            raise
        sys.stdout = _nowhere()
        sys.stderr.write("Standard output cannot be written: no space is left there.\n")
        sys.exit(int(ExitCode.USER_ERROR))


def _nowhere() -> TextIO:
    """Return a stream in place of one that is closed."""
    return Path(os.devnull).open("w", encoding="utf-8")


if __name__ == "__main__":
    main()
