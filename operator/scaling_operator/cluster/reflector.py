"""List and watch of one kind in a thread: kopf never notices a kind that is installed after its start, this does."""

import logging
import random
import threading
import time
from collections.abc import Callable, Hashable, Iterator
from typing import Any, Final, Generic, TypeVar

from scaling_operator.cluster.client import Call, Client
from scaling_operator.cluster.errors import ClusterError, Missing, Refused, Unavailable
from scaling_operator.cluster.kinds import Kind
from scaling_operator.cluster.store import Store
from scaling_operator.desired.manifest import Manifest

logger = logging.getLogger(__name__)
T = TypeVar("T")

DISCOVERY_S: Final = 30.0
"""How often a kind is looked for that is not installed."""
SILENCE_S: Final = 90.0
"""A watch without event or bookmark for so long may be dead, or of objects that nobody touches: a list tells."""
WATCH_S: Final = 300
"""The server ends a watch after this long."""
PAGE: Final = 500
_FIRST_BACKOFF_S: Final = 0.5
_LAST_BACKOFF_S: Final = 5.0
_GONE: Final = 410


class Reflector(Generic[T]):
    """Keeps a store like the API server's objects of one kind, and says whose have changed."""

    def __init__(
        self,
        client: Client,
        kind: Kind,
        *,
        store: Store[T],
        on_change: Callable[[Any], None],
        on_kind: Callable[[], None] = lambda: None,
        namespace: str | None = None,
        selector: str = "",
    ) -> None:
        self.kind, self.store = kind, store
        self._client, self._on_change, self._on_kind = client, on_change, on_kind
        self._namespace, self._path = namespace, kind.path(namespace)
        self._query = {"labelSelector": selector} if selector else {}
        self._stopping = threading.Event()
        self._synced = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"watch-{kind.plural}", daemon=True)
        self.problem: str | None = None
        """Why the objects cannot be read now, if they cannot."""
        self.is_installed: bool | None = None
        """The kind exists in the API server; None until it has answered."""
        self.heard_at: float = time.monotonic()
        """When an event, a bookmark or a list came last, on the monotonic clock."""

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """Ask the thread to end; it may still be waiting for an event, and ends with the process."""
        self._stopping.set()

    @property
    def has_synced(self) -> bool:
        """The store has been like the API server's objects once, or the kind is known not to be installed."""
        return self._synced.is_set()

    def _run(self) -> None:
        backoff_s = _FIRST_BACKOFF_S
        while not self._stopping.is_set():
            try:
                self._follow()
                backoff_s = _FIRST_BACKOFF_S
                continue
            except Missing:
                self._not_installed()
                wait_s = DISCOVERY_S
            except ClusterError as error:
                self._trouble(error)
                wait_s, backoff_s = backoff_s, min(2 * backoff_s, _LAST_BACKOFF_S)
            except Exception:
                logger.exception("Watching %s failed; it begins again", self.kind.plural)
                wait_s = _LAST_BACKOFF_S
            self._stopping.wait(wait_s * random.uniform(0.8, 1.2))

    def _follow(self) -> None:
        """List, then watch until the watch must begin again from a list."""
        version = self._list()
        while version and not self._stopping.is_set():
            version = self._watch(version)

    def _list(self) -> str:
        pages = list(self._pages())
        version: str = pages[-1]["metadata"]["resourceVersion"]
        objects = (_bare(item) for page in pages for item in page.get("items", ()))
        changed = self.store.replace(objects, version=int(version), namespace=self._namespace)
        self._heard()
        was_known, self.is_installed = self.is_installed, True
        if self.problem or was_known is False:
            logger.info("%s can be read", self.kind.plural)
        self.problem = None
        self._synced.set()
        self._tell(changed)
        if was_known is False:
            self._on_kind()
        return version

    def _pages(self) -> Iterator[Manifest]:
        query = {**self._query, "limit": str(PAGE)}
        while True:
            self._client.bucket.take_in_thread()
            page = self._client.call_now(Call("GET", self._path, query=query))
            for item in page.get("items", ()):  # a list leaves these out of its items
                item |= {"apiVersion": self.kind.api_version, "kind": self.kind.name}
            yield page
            if not (token := page["metadata"].get("continue")):
                return
            query["continue"] = token

    def _watch(self, version: str) -> str:
        """Follow one watch to its end; return the version to go on from, empty if a list must be made."""
        heard_at, began = self.heard_at, time.monotonic()
        query = {
            **self._query,
            "resourceVersion": version,
            "allowWatchBookmarks": "true",
            "timeoutSeconds": str(int(WATCH_S * random.uniform(0.8, 1.0))),
        }
        try:
            for event in self._client.watch(self._path, query, silence_s=SILENCE_S):
                if self._stopping.is_set() or event["type"] == "ERROR":
                    return ""
                version = event["object"]["metadata"]["resourceVersion"]
                self._take(event["type"], event["object"])
        except Refused as error:
            if error.code == _GONE:
                return ""
            raise
        except Unavailable:
            if self.heard_at == heard_at:  # it never spoke
                if time.monotonic() - began < SILENCE_S / 2:
                    raise  # the server is away
                logger.debug("Nothing was heard of %s; they are listed again", self.kind.plural)
                return ""
        return version

    def _take(self, what: str, found: dict[str, Any]) -> None:
        self._heard()
        if what == "BOOKMARK":
            return
        owner = self.store.remove(found) if what == "DELETED" else self.store.merge(_bare(found))
        if owner is not None:
            self._on_change(owner)

    def _not_installed(self) -> None:
        was_known, self.is_installed = self.is_installed, False
        self._heard()
        self._synced.set()
        self._tell(self.store.clear(namespace=self._namespace))
        if was_known is not False:
            logger.warning("%s of %s are not installed; looking again", self.kind.name, self.kind.api_version)
            self._on_kind()

    def _trouble(self, error: ClusterError) -> None:
        if self.problem is None:
            logger.warning("%s cannot be read: %s", self.kind.plural, error)
        self.problem = str(error)

    def _heard(self) -> None:
        self.heard_at = time.monotonic()

    def _tell(self, owners: set[Hashable]) -> None:
        for owner in owners:
            self._on_change(owner)


def _bare(manifest: Manifest) -> Manifest:
    """Leave out who wrote which field: half of an object's size, and nothing here reads it."""
    manifest["metadata"].pop("managedFields", None)
    return manifest
