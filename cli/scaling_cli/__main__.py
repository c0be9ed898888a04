"""The command `scaling`, which is also `kubectl scaling`."""

import sys
from io import TextIOWrapper
from pathlib import PurePath
from typing import Any

import typer
from typer.core import TyperGroup

from scaling_cli.commands.fit import fit
from scaling_cli.commands.plan import plan
from scaling_cli.commands.report import report
from scaling_cli.commands.run import run
from scaling_cli.commands.trials import trials
from scaling_cli.commands.validate import validate
from scaling_cli.commands.version import version
from scaling_cli.errors import CommandError

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
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):  # a terminal that cannot show a sign gets another, not an error
            stream.reconfigure(errors="replace")
    try:
        app(prog_name=name)
    except BrokenPipeError:
        # The reader, such as `head`, has seen enough. Python would complain again when it flushes at exit.
        sys.stdout = None
        sys.exit(BROKEN_PIPE)


if __name__ == "__main__":
    main()
