"""kopf, thin: it watches ScalingExperiments and marks the key of each event as dirty; nothing else is its business.

It runs in a thread with an event loop of its own, where it may cancel whatever it likes.
"""

import asyncio
import logging
import threading
from collections.abc import Callable, Iterator
from typing import Any, Final

import kopf

from scaling_api.v1alpha1.base import GROUP, VERSION
from scaling_operator.cluster.kinds import EXPERIMENTS
from scaling_operator.cluster.seen import Key

logger = logging.getLogger(__name__)

EXITING_S: Final = 20.0
FIRST_BACKOFF_S: Final = 0.5
LAST_BACKOFF_S: Final = 5.0
STORAGE_PREFIX: Final = GROUP

Login = Callable[[], kopf.ConnectionInfo]


class Backoffs:
    """0.5 s, 1 s, 2 s, 4 s, then 5 s for ever; kopf iterates over it anew for each request."""

    def __iter__(self) -> Iterator[float]:
        wait_s = FIRST_BACKOFF_S
        while True:
            yield wait_s
            wait_s = min(2 * wait_s, LAST_BACKOFF_S)


class ExperimentWatch:
    """kopf in its thread: begins with all experiments that there are."""

    def __init__(self, *, namespaces: tuple[str, ...], login: Login, mark: Callable[[Key], None]) -> None:
        self._namespaces = namespaces
        self._registry = _registry(login, mark)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="kopf", daemon=True)
        self.has_ended = threading.Event()
        """kopf has returned, as asked or for an error that it could not get over."""
        self.is_ready = threading.Event()
        """kopf has started."""

    def start(self) -> None:
        """Begin to watch."""
        self._thread.start()

    def stop(self) -> None:
        """Ask kopf to end; it does within seconds."""
        self._stop.set()

    def _run(self) -> None:
        try:
            asyncio.run(
                kopf.operator(
                    registry=self._registry,
                    settings=kopf_settings(),
                    # Else kopf asks for the user's name, and the user of a pod often has none.
                    identity="scaling-operator",  # type: ignore[arg-type]
                    standalone=True,
                    clusterwide=not self._namespaces,
                    namespaces=self._namespaces,
                    stop_flag=self._stop,
                    ready_flag=self.is_ready,
                )
            )
        except Exception:
            logger.exception("The watch of experiments ended")
        finally:
            self.has_ended.set()


def kopf_settings() -> kopf.OperatorSettings:
    """Return kopf's settings: each away from a default that costs events, time or rights."""
    settings = kopf.OperatorSettings()
    settings.peering.standalone = True
    settings.posting.enabled = False  # Events are written by `cluster.events`, once
    settings.scanning.disabled = True  # our own kind is waited for before; no cluster-wide rights are needed
    settings.watching.inactivity_timeout = 70
    settings.watching.server_timeout = 300
    settings.watching.client_timeout = 330
    settings.watching.connect_timeout = 10
    settings.watching.chunk_size = 500
    settings.networking.request_timeout = 30
    settings.networking.connect_timeout = 5
    settings.networking.error_backoffs = Backoffs()
    settings.networking.enforce_retry_after = True
    settings.process.ultimate_exiting_timeout = EXITING_S
    settings.persistence.progress_storage = kopf.AnnotationsProgressStorage(prefix=STORAGE_PREFIX)
    settings.persistence.diffbase_storage = kopf.AnnotationsDiffBaseStorage(prefix=STORAGE_PREFIX)
    return settings


def _registry(login: Login, mark: Callable[[Key], None]) -> kopf.OperatorRegistry:
    registry = kopf.OperatorRegistry()

    @kopf.on.login(registry=registry)
    def credentials(**_: Any) -> kopf.ConnectionInfo:
        return login()

    @kopf.on.event(GROUP, VERSION, EXPERIMENTS.plural, registry=registry)
    async def changed(name: str | None, namespace: str | None, **_: Any) -> None:
        if name and namespace:
            mark(Key(namespace, name))

    return registry
