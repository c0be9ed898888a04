"""Kubernetes Events: what happened, once, for `kubectl describe`.

An Event's name is a hash of what it says of which generation, so that a restarted operator that says it again is
refused by the API server. Each object may have 25 at once and one a second after that; further ones are left out.
"""

import asyncio
import hashlib
import logging
import time
from collections import OrderedDict
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from scaling_operator import reasons
from scaling_operator.cluster.client import Client
from scaling_operator.cluster.errors import ClusterError, Refused, Taken, Unavailable
from scaling_operator.cluster.kinds import EVENTS, EXPERIMENTS
from scaling_operator.decision import Event
from scaling_operator.desired.manifest import Manifest
from scaling_operator.observed import Identity

logger = logging.getLogger(__name__)

BURST: Final = 25
RATE: Final = 1.0
MOST_WAITING: Final = 1000
MOST_REMEMBERED: Final = 10_000
LONGEST_NOTE: Final = 1024
"""Bytes, which is what the API server counts."""
RETRY_S: Final = 2.0
ATTEMPTS: Final = 5
ONCE_A_RAY_JOB: Final = frozenset({reasons.DRIVER_ANSWERS, reasons.CLUSTER_REQUESTED, reasons.CLUSTER_STOPPED})
"""Told once of the RayJob that they name, whatever the spec's generation."""
COMPONENT: Final = "scalinglaws.dev/scaling-operator"
FIELD_MANAGER: Final = "scaling-operator-events"


@dataclass
class _Allowance:
    left: float
    at: float


class Recorder:
    """Writes Events in the background; a pass never waits for them."""

    def __init__(self, client: Client, *, instance: str) -> None:
        self._client, self._instance = client, instance[:128]
        self._waiting: asyncio.Queue[Manifest] = asyncio.Queue(MOST_WAITING)
        self._said: OrderedDict[str, None] = OrderedDict()
        self._allowances: OrderedDict[str, _Allowance] = OrderedDict()

    def say(self, identity: Identity, event: Event) -> None:
        """Have an Event written, unless it was said before or too much is being said."""
        manifest = event_manifest(identity, event, instance=self._instance, at=datetime.now(UTC))
        name = f"{identity.namespace}/{manifest['metadata']['name']}"
        if name in self._said:
            return
        if not self._may_speak(identity.uid) or self._waiting.full():
            logger.info("%s: one Event too many, left out: %s", identity.name, event.message)
            return
        level = logging.WARNING if event.type == "Warning" else logging.INFO
        logger.log(level, "%s/%s: %s: %s", identity.namespace, identity.name, event.reason, event.message)
        self._said[name] = None
        if len(self._said) > MOST_REMEMBERED:
            self._said.popitem(last=False)
        self._waiting.put_nowait(manifest)

    async def run(self) -> None:
        """Write what is to be said until cancelled."""
        while True:
            await self._write(await self._waiting.get())

    async def _write(self, manifest: Manifest) -> None:
        for _ in range(ATTEMPTS):
            try:
                await self._client.create(manifest, field_manager=FIELD_MANAGER)
            except Taken:
                return  # it was said before a restart
            except Unavailable:
                await asyncio.sleep(RETRY_S)
                continue
            except ClusterError as error:
                if isinstance(error, Refused) and error.is_for_the_last_time:
                    return
                logger.warning("An Event could not be written: %s", error)
            return

    def _may_speak(self, uid: str) -> bool:
        now = time.monotonic()
        allowance = self._allowances.pop(uid, None) or _Allowance(BURST, now)
        allowance.left = min(float(BURST), allowance.left + (now - allowance.at) * RATE)
        allowance.at = now
        self._allowances[uid] = allowance
        if len(self._allowances) > MOST_REMEMBERED:
            self._allowances.popitem(last=False)
        if allowance.left < 1:
            return False
        allowance.left -= 1
        return True


def cut(text: str, most: int) -> str:
    """Return the text in at most so many bytes of UTF-8, with no character broken."""
    encoded = text.encode()
    return text if len(encoded) <= most else encoded[: most - 3].decode(errors="ignore") + "..."


def event_manifest(identity: Identity, event: Event, *, instance: str, at: datetime) -> Manifest:
    """Return the Event as an object of events.k8s.io/v1."""
    generation = "" if event.reason in ONCE_A_RAY_JOB else str(identity.generation)
    words = "\0".join((identity.uid, generation, event.type, event.reason, event.message))
    digest = hashlib.sha256(words.encode()).hexdigest()[:16]
    return {
        "apiVersion": EVENTS.api_version,
        "kind": EVENTS.name,
        "metadata": {"name": f"{identity.name}.{digest}", "namespace": identity.namespace},
        "eventTime": at.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        "reportingController": COMPONENT,
        "reportingInstance": instance,
        "action": event.reason,
        "reason": event.reason,
        "regarding": {
            "apiVersion": EXPERIMENTS.api_version,
            "kind": EXPERIMENTS.name,
            "namespace": identity.namespace,
            "name": identity.name,
            "uid": identity.uid,
        },
        "note": cut(event.message, LONGEST_NOTE),
        "type": event.type,
    }
