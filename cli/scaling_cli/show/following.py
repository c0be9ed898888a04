"""The progress of an experiment on a cluster: a live display on a terminal, a line now and then elsewhere."""

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from scaling_cli.cluster.following import Followed
from scaling_cli.cluster.standing import standing_of
from scaling_cli.show.console import messages
from scaling_cli.show.numbers import duration, significant, some
from scaling_cli.show.spending import spending

if TYPE_CHECKING:
    from rich.console import Group, RenderableType
    from rich.table import Table

_QUIET_S: Final = 30.0
"""Between lines where there is no terminal."""
_TRIALS_SHOWN: Final = 8
_BAR_WIDTH: Final = 60


@contextmanager
def shown_following() -> "Iterator[Callable[[Followed, Iterable[str]], None]]":
    """Show how an experiment goes, on standard error; yields what to call with all that is known, and with news."""
    console = messages()
    if not console.is_terminal:
        yield _Lines().take
        return
    from rich.live import Live
    from rich.text import Text

    known: list[Followed] = []

    def screen() -> "RenderableType":
        return following_screen(known[-1], datetime.now(UTC)) if known else Text("")

    with Live(get_renderable=screen, console=console, refresh_per_second=4, transient=True):
        console.show_cursor(True)  # a second Ctrl-C kills at once, and nobody could show it again

        def take(followed: Followed, sentences: Iterable[str]) -> None:
            known[:] = [followed]
            for sentence in sentences:
                console.print(sentence, style="yellow")

        yield take


class _Lines:
    """Sentences as they come, a line when the standing changes, and one every half minute."""

    def __init__(self) -> None:
        self._last = -_QUIET_S
        self._word = ""

    def take(self, followed: Followed, sentences: Iterable[str]) -> None:
        for sentence in sentences:
            messages().print(sentence, soft_wrap=True)
        standing = standing_of(followed.experiment)
        clock = time.monotonic()
        if standing.word != self._word or clock - self._last >= _QUIET_S:
            self._word, self._last = standing.word, clock
            messages().print(following_line(followed, datetime.now(UTC)), soft_wrap=True)


def following_line(followed: Followed, now: datetime) -> str:
    """Return where an experiment stands in a line: word, trials, time, best loss."""
    standing = standing_of(followed.experiment)
    parts = [f"{standing.word}: {_progress(followed, now)}"] if followed.total else [f"{standing.word}."]
    parts += [standing.why] if standing.why else []
    if (best := followed.experiment.status.best_loss) is not None and followed.total:
        parts[0] += f", best loss {significant(best, 4)}"
    return " · ".join(parts)


def _progress(followed: Followed, now: datetime) -> str:
    counts = followed.experiment.status.trials
    clauses = [f"{followed.finished:,} of {some(followed.total, 'trial')}"]
    clauses += [f"{counts.failed:,} failed"] if counts.failed else []
    clauses += [f"{counts.diverged:,} diverged"] if counts.diverged else []
    clauses += [f"{len(followed.running) or counts.running:,} running"] if followed.running or counts.running else []
    clauses.append(f"{followed.fraction:.0%} of the work")
    left = followed.seconds_left(now)
    return ", ".join(clauses) + (f", about {duration(left)} left" if left is not None and followed.running else "")


def following_screen(followed: Followed, now: datetime) -> "Group":
    """Return the display: bar, progress, where it stands, what is spent, what runs."""
    from rich.console import Group
    from rich.progress_bar import ProgressBar
    from rich.table import Table
    from rich.text import Text

    experiment = followed.experiment
    standing = standing_of(experiment)
    head = Table.grid()
    if followed.total:
        head.add_row(ProgressBar(total=1.0, completed=followed.fraction, width=_BAR_WIDTH))
        head.add_row(_progress(followed, now))
    head.add_row(Text.assemble((standing.word, standing.style), f"  {standing.why}".rstrip()))
    if followed.total:
        best = experiment.status.best_loss
        clauses = [*spending(experiment, now)]
        clauses += [f"best loss {significant(best, 4)}"] if best is not None else []
        head.add_row(Text(" · ".join(clauses), style="dim"))
    if followed.lost:
        head.add_row(Text("The API server does not answer; trying again.", style="yellow"))
    return Group(head, _running(followed))


def _running(followed: Followed) -> "Table":
    from rich.table import Table

    from scaling_cli.show.trial_names import describe

    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(no_wrap=True, overflow="ellipsis")
    table.add_column(style="dim", no_wrap=True)
    records = sorted(followed.running.values(), key=lambda r: (-r.spec.flops, r.spec.id))
    for record in records[:_TRIALS_SHOWN]:
        again = f"attempt {record.status.attempts}" if record.status.attempts > 1 else ""
        table.add_row(record.spec.compute.pool or "", describe(record.spec), again)
    if len(records) > _TRIALS_SHOWN:
        table.add_row("", f"and {len(records) - _TRIALS_SHOWN:,} more", "")
    return table
