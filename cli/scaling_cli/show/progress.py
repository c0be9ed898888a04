"""The progress of a run: a live display on a terminal, a line now and then elsewhere."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from scaling_cli.progress import LaneWork, RunProgress
from scaling_cli.show.console import messages
from scaling_cli.show.numbers import duration
from scaling_cli.show.trial_names import describe

if TYPE_CHECKING:
    from rich.console import Group
    from rich.table import Table

    from scaling_trainer.executors.base import Event

_QUIET_S = 30.0
"""Between lines where there is no terminal."""
_LANES_SHOWN = 8
_BAR_WIDTH = 60


@contextmanager
def shown_progress(progress: RunProgress) -> "Iterator[Callable[[Event], None]]":
    """Show how the run goes, on standard error; yields what to call with each event."""
    console = messages()
    if not console.is_terminal:
        yield _Lines(progress).take
        return
    from rich.live import Live

    begin = time.monotonic()
    with Live(get_renderable=lambda: _screen(progress, begin), console=console, refresh_per_second=4, transient=True):
        console.show_cursor(True)  # a second Ctrl-C kills at once, and nobody could show it again

        def take(event: "Event") -> None:
            if (sentence := progress.take(event)) is not None:
                console.print(sentence, style="yellow")

        yield take


class _Lines:
    """Sentences as they come, and a line with the state every half minute."""

    def __init__(self, progress: RunProgress) -> None:
        self._progress = progress
        self._begin = self._last = time.monotonic()

    def take(self, event: "Event") -> None:
        if (sentence := self._progress.take(event)) is not None:
            messages().print(sentence, soft_wrap=True)
        now = time.monotonic()
        if now - self._last >= _QUIET_S:
            self._last = now
            messages().print(headline(self._progress, now - self._begin), soft_wrap=True)


def headline(progress: RunProgress, elapsed_s: float) -> str:
    """Return the state in a line: trials, failures, time."""
    failed = f", {progress.failed} failed" if progress.failed else ""
    left = duration(progress.seconds_left(elapsed_s))
    return (
        f"{progress.count:,} of {len(progress.trials):,} trials{failed}, {progress.fraction:.0%} of the work; "
        f"{duration(elapsed_s)} so far, about {left} left"
    )


def _screen(progress: RunProgress, begin: float) -> "Group":
    from rich.console import Group
    from rich.progress_bar import ProgressBar
    from rich.table import Table

    head = Table.grid()
    head.add_row(ProgressBar(total=1.0, completed=progress.fraction, width=_BAR_WIDTH))
    head.add_row(headline(progress, time.monotonic() - begin))
    return Group(head, _lanes(progress))


def _lanes(progress: RunProgress) -> "Table":
    from rich.table import Table

    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(no_wrap=True, overflow="ellipsis")
    table.add_column(style="dim", no_wrap=True, justify="right")
    running = sorted(progress.running.items())
    for lane, work in running[:_LANES_SHOWN]:
        table.add_row(f"core {lane}", describe(work.trial), _steps(work))
    if len(running) > _LANES_SHOWN:
        table.add_row("", f"and {len(running) - _LANES_SHOWN} more", "")
    return table


def _steps(work: LaneWork) -> str:
    if work.trial.end_step == work.trial.start_step:
        return ""
    return f"step {work.step:,} of {work.trial.end_step:,}{' (resumed)' if work.resumed else ''}"
