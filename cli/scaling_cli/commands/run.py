"""`scaling run`."""

import shlex
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from scaling_cli.errors import CommandError, ExitCode

if TYPE_CHECKING:
    from scaling_cli.planning import LocalPlan
    from scaling_cli.running import Run


def run(
    file: Annotated[
        str, typer.Argument(metavar="FILE", help="A ScalingExperiment, YAML or JSON; - is standard input.")
    ],
    *,
    out: Annotated[Path | None, typer.Option(metavar="DIR", help="Results folder; else results/NAME.")] = None,
    executor: Annotated[
        Literal["local", "ray"],
        typer.Option(help="What runs trials on this machine's cores: processes, or Ray as on a cluster."),
    ] = "local",
    fresh: Annotated[
        bool, typer.Option("--fresh/--resume", help="Remove earlier results, or go on from them.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document at the end.")] = False,
) -> None:
    """Run an experiment on this machine: plan, train, compress, fit, report.

    The same command again goes on from what is finished.
    """
    again = f"scaling run {shlex.quote(file)}{f' --out {shlex.quote(str(out))}' if out else ''}"
    again += " --executor ray" if executor == "ray" else ""
    try:
        _run(file, out, on_ray=executor == "ray", fresh=fresh, as_json=as_json, again=again)
    except KeyboardInterrupt:
        words = f"Stopped. What is finished is kept; go on with: {again}"
        raise CommandError(words, exit_code=ExitCode.INTERRUPTED) from None


def _run(file: str, out: Path | None, *, on_ray: bool, fresh: bool, as_json: bool, again: str) -> None:
    from scaling_cli.experiments import load_experiment
    from scaling_cli.planning import plan_locally, require_trainer
    from scaling_cli.running import execute
    from scaling_laws.design.supported import Place

    local = plan_locally(load_experiment(file), place=Place.RAY if on_ray else Place.MACHINE)
    if local.experiment.spec.suspend:
        _show_dry_run(local, file, as_json=as_json)
        return
    require_trainer(ray=on_ray)
    folder = out or Path("results") / local.experiment.metadata.name
    announce = partial(_announce, local, folder, as_json=as_json)
    ended = execute(local, folder, fresh=fresh, on_open=announce, on_corpus=_remark)
    if not as_json:
        _show(ended)
    report = _report(ended)
    if as_json:
        _write_json(ended, report)
    elif report is not None:
        sys.stdout.write(f"\nThe report is {report}\n")
    _end(ended, file=file, again=again)


def _show_dry_run(local: "LocalPlan", file: str, *, as_json: bool) -> None:
    """Show what would be trained, and what it would take: the spec asks to wait."""
    from scaling_cli.planning import plan_as_json
    from scaling_cli.show.console import output
    from scaling_cli.show.json_text import json_text
    from scaling_cli.show.plans import plan_blocks

    if as_json:
        document = plan_as_json(local) | {"suspended": True, "exitCode": int(ExitCode.DONE)}
        sys.stdout.write(json_text(document) + "\n")
        return
    console = output()
    for block in plan_blocks(local):
        console.print(block)
    words = f"spec.suspend is true: nothing is trained. Set it to false in {file} to run the experiment."
    console.print(words, style="green", soft_wrap=True)


def _announce(local: "LocalPlan", folder: Path, reused: int, warnings: Sequence[str], *, as_json: bool) -> None:
    """Say what will be done before it is; with --json standard output belongs to the document."""
    from scaling_cli.show.console import messages, output
    from scaling_cli.show.numbers import some
    from scaling_cli.show.plans import plan_blocks

    console = messages() if as_json else output()
    for block in () if as_json else plan_blocks(local):
        console.print(block)
    for warning in warnings:
        messages().print(warning, style="yellow", soft_wrap=True)
    if reused:
        rest = len(local.plan.trials) - reused
        console.print(f"{some(reused, 'finished trial')} reused, {rest:,} to run.", style="green")
    console.print(f"Results go to {folder}.", soft_wrap=True)


def _remark(remarks: Sequence[str]) -> None:
    from scaling_cli.show.console import messages

    for remark in remarks:
        messages().print(f"Note: {remark}", soft_wrap=True)


def _show(ended: "Run") -> None:
    from scaling_cli.show.analyses import analysis_blocks
    from scaling_cli.show.console import output
    from scaling_cli.show.runs import took

    console = output()
    console.print()
    for sentence in took(ended):
        console.print(sentence)
    if ended.analysis is not None:
        for block in analysis_blocks(ended.analysis):
            console.print(block)


def _write_json(ended: "Run", report: Path | None) -> None:
    from scaling_cli.run_documents import run_as_json
    from scaling_cli.show.json_text import json_text

    sys.stdout.write(json_text(run_as_json(ended, report=report)) + "\n")


def _report(ended: "Run") -> Path | None:
    from scaling_cli.reporting import write_report_of

    if ended.analysis is None or not ended.outcome.records:
        return None
    experiment = ended.local.experiment
    try:
        return write_report_of(ended.folder, experiment, ended.outcome.records.values(), ended.analysis)
    except CommandError as error:
        if ended.exit_code is ExitCode.DONE:
            raise
        sys.stderr.write(f"{error}\n")  # why trials are missing comes last
        return None


def _end(ended: "Run", *, file: str, again: str) -> None:
    from scaling_cli.show.runs import last_words

    if ended.exit_code is not ExitCode.DONE:
        raise CommandError(last_words(ended, file=file, again=again), exit_code=ended.exit_code)
