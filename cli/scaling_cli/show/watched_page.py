"""An experiment's page, shown again whenever something changes."""

import queue
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from scaling_cli.cluster.client import Cluster
from scaling_cli.cluster.errors import UnreachableError
from scaling_cli.cluster.following import sources
from scaling_cli.cluster.looking import Look, look
from scaling_cli.cluster.options import ClusterOptions
from scaling_cli.cluster.watching import Message, Watch
from scaling_cli.show.console import output
from scaling_cli.show.experiment_page import page_blocks

if TYPE_CHECKING:
    from rich.console import Group

_SOONEST_S: Final = 2.0
"""Between two looks: a sweep changes several times a second."""
_LATEST_S: Final = 15.0
"""Pods are not watched."""


def watch_page(cluster: Cluster, name: str, options: ClusterOptions, *, is_wide: bool) -> None:
    """Show the page until interrupted; on a terminal in place, elsewhere one page after the other.

    Raises:
        CommandError: the experiment can't be read, or is gone.
    """
    seen = look(cluster, name)
    changes: queue.SimpleQueue[Message] = queue.SimpleQueue()
    for source in sources(cluster, name)[:2]:
        Watch(cluster, source, changes.put).start()
    console = output()
    if not console.is_terminal:
        while True:
            console.print(_page(seen, options, is_wide=is_wide))
            console.rule(style="dim")
            seen = _next(cluster, seen, changes)
    from rich.live import Live

    with Live(console=console, screen=True, auto_refresh=False, vertical_overflow="crop") as live:
        while True:
            live.update(_page(seen, options, is_wide=is_wide), refresh=True)
            seen = _next(cluster, seen, changes)


def _page(seen: Look, options: ClusterOptions, *, is_wide: bool) -> "Group":
    from rich.console import Group

    return Group(*page_blocks(seen, options, now=datetime.now(UTC), is_wide=is_wide))


def _next(cluster: Cluster, seen: Look, changes: "queue.SimpleQueue[Message]") -> Look:
    """Return the next look: after a change, or after a while."""
    time.sleep(_SOONEST_S)
    try:
        changes.get(timeout=_LATEST_S - _SOONEST_S)
        while True:
            changes.get_nowait()
    except queue.Empty:
        pass
    try:
        return look(cluster, seen.experiment.name)
    except UnreachableError:
        return seen
