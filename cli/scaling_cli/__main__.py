"""The command `scaling`, which is also `kubectl scaling`."""

import errno
import os
import sys
from collections.abc import Callable
from io import TextIOWrapper
from pathlib import Path
from typing import Any, TextIO

import typer
from typer.core import TyperGroup

from scaling_cli.cluster.options import ClusterOptions, ContextOption, KubeconfigOption, NamespaceOption
from scaling_cli.commands.apply import apply
from scaling_cli.commands.delete import delete
from scaling_cli.commands.fit import fit
from scaling_cli.commands.list_experiments import list_
from scaling_cli.commands.logs import logs
from scaling_cli.commands.plan import plan
from scaling_cli.commands.report import report
from scaling_cli.commands.run import run
from scaling_cli.commands.status import status
from scaling_cli.commands.suspend import resume, suspend
from scaling_cli.commands.trials import trials
from scaling_cli.commands.validate import validate
from scaling_cli.commands.version import version
from scaling_cli.errors import CommandError, ExitCode
from scaling_cli.invocation import program

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
    epilog="Exit codes: 0 done, 2 something to correct, 3 some trials failed, 4 a law was refused, "
    "5 the cluster cannot be reached.",
)


@app.callback()
def _of_all_commands(
    ctx: typer.Context,
    *,
    kubeconfig: KubeconfigOption = None,
    context: ContextOption = None,
    namespace: NamespaceOption = None,
) -> None:
    ctx.obj = ClusterOptions(kubeconfig, context, namespace)


_HERE, _RESULTS, _CLUSTER = "On this machine", "Results", "On a cluster"
_PANELS: dict[str, tuple[Callable[..., None], ...]] = {
    _HERE: (validate, plan, run, version),
    _RESULTS: (fit, report, trials),
    _CLUSTER: (apply, status, logs, suspend, resume, delete),
}
for panel, commands in _PANELS.items():
    for command in commands:
        app.command(rich_help_panel=panel)(command)
app.command("list", rich_help_panel=_CLUSTER)(list_)


def main() -> None:
    """Run the command line."""
    sys.stdout = sys.stdout or _nowhere()
    sys.stderr = sys.stderr or _nowhere()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):  # a terminal that cannot show a sign gets another, not an error
            stream.reconfigure(errors="replace")
    try:
        app(prog_name=program())
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
