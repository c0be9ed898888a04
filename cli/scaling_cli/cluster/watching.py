"""Lists that keep themselves up to date: what is there, then every change, whatever happens to the connection."""

import json
import random
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeAlias

from scaling_cli.cluster.client import Cluster, Manifest
from scaling_cli.cluster.errors import RefusedError, UnreachableError
from scaling_cli.errors import CommandError

if TYPE_CHECKING:
    import urllib3

_SERVER_S: Final = 240
"""After which the API server ends a watch by itself."""
_QUIET_S: Final = 100.0
"""Without a byte; the API server sends a bookmark every minute."""
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.5, 15.0
_SHORTEST_S: Final = 1.0
_GONE: Final = 410


@dataclass(frozen=True)
class Listed:
    """All that there is now; it takes the place of all that was known."""

    source: str
    manifests: tuple[Manifest, ...]


@dataclass(frozen=True)
class Changed:
    """An object was created or changed."""

    source: str
    manifest: Manifest


@dataclass(frozen=True)
class Gone:
    """An object was deleted."""

    source: str
    manifest: Manifest


@dataclass(frozen=True)
class Lost:
    """The connection is lost for now; it is tried again."""

    source: str
    why: str


@dataclass(frozen=True)
class Refused:
    """This can't be watched, and is not tried again."""

    source: str
    error: CommandError


Message: TypeAlias = Listed | Changed | Gone | Lost | Refused


@dataclass(frozen=True)
class Source:
    """What is watched."""

    name: str
    """That messages carry."""
    path: str
    what: str
    """In words."""
    selector: tuple[tuple[str, str], ...] = ()
    """labelSelector or fieldSelector."""


class Watch:
    """Reads one source on a thread of its own, which ends with the process."""

    def __init__(self, cluster: Cluster, source: Source, say: Callable[[Message], None]) -> None:
        self._cluster, self._source, self._say = cluster, source, say
        self._version = ""
        self._pause_s = _FIRST_PAUSE_S
        self._is_closed = threading.Event()

    def start(self) -> None:
        """Begin."""
        threading.Thread(target=self._run, name=f"watch {self._source.name}", daemon=True).start()

    def close(self) -> None:
        """Say nothing more; the thread ends with its next answer, or with the process."""
        self._is_closed.set()

    def _run(self) -> None:
        while not self._is_closed.is_set():
            try:
                if not self._version:
                    self._list()
                self._watch()
            except UnreachableError as error:
                self._rest(str(error))
            except RefusedError as error:
                if error.status == _GONE:
                    self._version = ""
                elif error.status == 429 or error.status >= 500:
                    self._rest(str(error))
                else:
                    self._tell(Refused(self._source.name, error))
                    return
            except CommandError as error:
                self._tell(Refused(self._source.name, error))
                return

    def _list(self) -> None:
        manifests, self._version = self._cluster.snapshot(
            self._source.path, what=self._source.what, **dict(self._source.selector)
        )
        self._pause_s = _FIRST_PAUSE_S
        self._tell(Listed(self._source.name, manifests))

    def _watch(self) -> None:
        query = {
            **dict(self._source.selector),
            "watch": "true",
            "allowWatchBookmarks": "true",
            "timeoutSeconds": str(_SERVER_S),
            "resourceVersion": self._version,
        }
        begin = time.monotonic()
        with self._cluster.stream(self._source.path, what=self._source.what, query=query, quiet_s=_QUIET_S) as answer:
            for line in lines_of(answer):
                self._take(json.loads(line))
                if self._is_closed.is_set() or not self._version:
                    return
        if time.monotonic() - begin < _SHORTEST_S:  # something in between cuts watches short
            self._is_closed.wait(_SHORTEST_S)

    def _take(self, event: Manifest) -> None:
        manifest = event["object"]
        if event["type"] == "ERROR":  # as a rule, what was asked for is too long ago
            self._version = ""
            return
        self._pause_s = _FIRST_PAUSE_S
        self._version = manifest["metadata"]["resourceVersion"]
        if event["type"] == "DELETED":
            self._tell(Gone(self._source.name, manifest))
        elif event["type"] != "BOOKMARK":
            self._tell(Changed(self._source.name, manifest))

    def _rest(self, why: str) -> None:
        self._tell(Lost(self._source.name, why))
        self._is_closed.wait(self._pause_s * random.uniform(0.7, 1.3))
        self._pause_s = min(_LONGEST_PAUSE_S, 2 * self._pause_s)

    def _tell(self, message: Message) -> None:
        if not self._is_closed.is_set():
            self._say(message)


def lines_of(answer: "urllib3.BaseHTTPResponse") -> Iterator[bytes]:
    """Yield the lines of an answer as they come; a connection that breaks ends them."""
    from urllib3.exceptions import HTTPError

    rest = b""
    try:
        for chunk in answer.stream(2**16, decode_content=True):
            *whole, rest = (rest + chunk).split(b"\n")
            yield from (line for line in whole if line)
    except (HTTPError, OSError, ValueError):
        return  # what is missing is asked for again
    if rest:
        yield rest
