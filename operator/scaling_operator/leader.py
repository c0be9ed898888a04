"""One leader at a time, by a Lease of coordination.k8s.io/v1.

The holder's identity is the pod's name, so that a restarted container takes its lease back at once. Another one's
lease counts as over only when it has stood unchanged for its whole duration on our own clock: clocks of machines are
not compared. A leader that cannot renew writes nothing once its lease may be over; it goes on when it finds the lease
still its own, and ends when another has it.
"""

import asyncio
import logging
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from scaling_operator.cluster.client import Client
from scaling_operator.cluster.errors import ClusterError, Missing, Taken
from scaling_operator.cluster.kinds import LEASES

logger = logging.getLogger(__name__)

DURATION_S: Final = 15
RENEW_S: Final = 5.0
RETRY_S: Final = 2.0
MARGIN_S: Final = 2.0
"""A write must be over so long before the lease is."""
FIELD_MANAGER: Final = "scaling-operator-leader"


class LostLeadership(Exception):  # noqa: N818 - what happened
    """Another process holds the lease."""


@dataclass(frozen=True)
class LeaseName:
    """Which lease, and who wants it."""

    namespace: str
    name: str
    identity: str


@dataclass
class _Seen:
    """Another's lease, and since when it has stood like this, on our clock."""

    version: str = ""
    since: float = 0.0


class Leader:
    """Holds the lease, or waits for it."""

    def __init__(self, client: Client, lease: LeaseName, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._client, self._lease, self._clock = client, lease, clock
        self._held_until = float("-inf")
        self._seen = _Seen()
        self._has_led = False

    def time_left(self) -> float:
        """Return for how many seconds a write may still be under way; zero or less: it must not be sent."""
        return self._held_until - MARGIN_S - self._clock()

    @property
    def is_leading(self) -> bool:
        """The lease is ours now."""
        return self.time_left() > 0

    async def acquire(self) -> None:
        """Return once the lease is ours."""
        while not await self._attempt():
            await asyncio.sleep(RETRY_S * random.uniform(0.8, 1.2))
        self._has_led = True
        logger.info("%s leads", self._lease.identity)

    @property
    def identity(self) -> str:
        """Who this process is."""
        return self._lease.identity

    async def renew(self) -> None:
        """Renew the lease once.

        Raises:
            LostLeadership: another has it.
        """
        await self._attempt()

    async def hold(self) -> None:
        """Renew the lease until cancelled.

        Raises:
            LostLeadership: another has it.
        """
        while True:
            await asyncio.sleep(RENEW_S if self.is_leading else RETRY_S)
            await self.renew()

    async def release(self) -> None:
        """Let another take the lease at once."""
        if not self.is_leading:
            return
        self._held_until = float("-inf")
        try:
            lease = await self._client.get(LEASES, self._lease.namespace, self._lease.name)
            if lease and lease["spec"].get("holderIdentity") == self._lease.identity:
                lease["spec"] |= {"holderIdentity": "", "leaseDurationSeconds": 1, "renewTime": _now()}
                await self._client.replace(lease)
        except ClusterError as error:
            logger.warning("The lease could not be given back: %s", error)

    async def _attempt(self) -> bool:
        """Take or renew the lease; return whether it is ours."""
        asked_at = self._clock()
        try:
            lease = await self._client.get(LEASES, self._lease.namespace, self._lease.name)
            if lease is not None and not self._is_free(lease):
                return self._lost(lease["spec"]["holderIdentity"])
            await self._write(lease)
        except (Taken, Missing):  # another was faster, or it was deleted meanwhile
            return False
        except ClusterError as error:
            logger.warning("The lease %s could not be renewed: %s", self._lease.name, error)
            return False
        self._held_until = asked_at + DURATION_S  # from before the request: it may have been slow
        return True

    def _is_free(self, lease: dict[str, Any]) -> bool:
        holder = lease["spec"].get("holderIdentity")
        if not holder or holder == self._lease.identity:
            return True
        version = lease["metadata"]["resourceVersion"]
        if version != self._seen.version:
            self._seen = _Seen(version, self._clock())
        return self._clock() - self._seen.since > float(lease["spec"].get("leaseDurationSeconds") or DURATION_S)

    def _lost(self, holder: str) -> bool:
        if self._has_led:
            self._held_until = float("-inf")
            raise LostLeadership(f"{holder} holds the lease {self._lease.name}.")
        return False

    async def _write(self, lease: dict[str, Any] | None) -> None:
        if lease is None:
            metadata = {"name": self._lease.name, "namespace": self._lease.namespace}
            fresh = {"apiVersion": LEASES.api_version, "kind": LEASES.name, "metadata": metadata}
            await self._client.create({**fresh, "spec": self._spec({})}, field_manager=FIELD_MANAGER)
        else:
            await self._client.replace({**lease, "spec": self._spec(lease["spec"])})

    def _spec(self, old: dict[str, Any]) -> dict[str, Any]:
        now = _now()
        spec = {"holderIdentity": self._lease.identity, "leaseDurationSeconds": DURATION_S, "renewTime": now}
        if old.get("holderIdentity") == self._lease.identity:
            kept = {"acquireTime": old.get("acquireTime") or now, "leaseTransitions": old.get("leaseTransitions") or 0}
        else:
            kept = {"acquireTime": now, "leaseTransitions": int(old.get("leaseTransitions") or 0) + bool(old)}
        return {**spec, **kept}


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
