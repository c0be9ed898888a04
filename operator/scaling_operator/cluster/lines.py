"""Which driver an experiment's rows come from, and the line to it."""

import asyncio
import time
from base64 import b64decode
from binascii import Error as Base64Error
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, TypeAlias

from scaling_api.driver_protocol import PROXIED_TOKEN_HEADER
from scaling_operator.cluster.client import Client
from scaling_operator.cluster.driver_client import DriverClient, Endpoint
from scaling_operator.cluster.driver_link import DriverLink
from scaling_operator.cluster.kinds import SECRETS
from scaling_operator.cluster.recall import Line, Recall, watched
from scaling_operator.cluster.seen import Key, controller_uid
from scaling_operator.desired.driver import DriverAddress, driver_address
from scaling_operator.desired.labels import secret_name
from scaling_operator.desired.volumes import TOKEN_KEY
from scaling_operator.observed import DriverSeen, DriverSilence, Identity, PodSeen, RayJobSeen, SecretSeen
from scaling_operator.settings import Driver

ENDED: Final = frozenset({"SUCCEEDED", "FAILED", "STOPPED"})
"""jobStatus of a RayJob whose driver has exited."""
ENDED_DEPLOYMENTS: Final = frozenset({"Complete", "Failed", "ValidationFailed"})
SECRET_AGAIN_S: Final = 30.0
"""A Secret that someone deletes under a running driver is missed after so long."""

Locate: TypeAlias = Callable[[str, str, Driver], DriverAddress]
"""From namespace, RayCluster and settings to where the driver answers."""


@dataclass(frozen=True)
class Lines:
    """Makes the lines to drivers and ends them."""

    client: Client
    drivers: DriverClient
    settings: Driver
    mark: Callable[[Key], None]
    on_poll: Callable[[bool], None]
    locate: Locate = driver_address

    async def secret(self, identity: Identity, recall: Recall) -> SecretSeen | None:
        """Read the driver's token; return its Secret, None where there is none.

        While a driver is listened to, its token stays the one that it was started with, and its Secret is only
        looked for now and then.
        """
        is_listening = recall.line is not None and recall.token is not None
        if is_listening and time.monotonic() - recall.secret_read_at < SECRET_AGAIN_S:
            return SecretSeen()
        secret = await self.client.get(SECRETS, identity.namespace, secret_name(identity))
        recall.secret_read_at = time.monotonic() if secret else 0.0
        token = _token(secret) if secret else None
        if not is_listening:
            recall.token = token
        owner = controller_uid(secret) if secret else None
        return SecretSeen(token is not None, is_foreign=owner not in {None, identity.uid}) if secret else None

    def listen(
        self, identity: Identity, recall: Recall, *, job: RayJobSeen | None, ray_cluster: str, pods: tuple[PodSeen, ...]
    ) -> DriverSeen | None:
        """Keep the line to the driver of a RayJob whose head runs; return what came over it."""
        if job is None or not ray_cluster or not _has_head(job, pods):
            self._hang_up(recall)
            recall.tokenless_since = None
            return None
        if recall.token is None:
            self._hang_up(recall)
            recall.tokenless_since = recall.tokenless_since or datetime.now(UTC)
            why = f"the Secret {secret_name(identity)} is gone, or has no token"
            return DriverSilence(job.attempt, since=recall.tokenless_since, why=why, has_token=False)
        recall.tokenless_since = None
        endpoint = self._endpoint(identity.namespace, ray_cluster, recall.token)
        if recall.line is None or recall.line.link.endpoint != endpoint or recall.line.task.done():
            self._hang_up(recall)
            recall.line = self._call(identity, endpoint, attempt=job.attempt)
        return recall.line.link.seen()

    def _call(self, identity: Identity, endpoint: Endpoint, *, attempt: int) -> Line:
        key = Key(identity.namespace, identity.name)
        link = DriverLink(
            self.drivers,
            endpoint,
            attempt=attempt,
            name=str(key),
            on_news=lambda: self.mark(key),
            on_poll=self.on_poll,
        )
        task = asyncio.create_task(link.run(), name=f"the line to the driver of {key}")
        return Line(link, watched(task, on_failure=lambda: self.mark(key)))

    def _endpoint(self, namespace: str, ray_cluster: str, token: str) -> Endpoint:
        address = self.locate(namespace, ray_cluster, self.settings)
        if not address.is_proxied:
            return Endpoint(address.url, {"Authorization": f"Bearer {token}"})
        headers = {**self.client.identity(), PROXIED_TOKEN_HEADER: f"Bearer {token}"}
        return Endpoint(self.client.configuration.host + address.url, headers, tls=self.client.tls)

    @staticmethod
    def _hang_up(recall: Recall) -> None:
        if recall.line is not None:
            recall.line.task.cancel()
            recall.line = None


def has_ended(job: RayJobSeen) -> bool:
    """The RayJob has come to an end, of whatever kind."""
    return job.job_status in ENDED or job.deployment_status in ENDED_DEPLOYMENTS


def _has_head(job: RayJobSeen, pods: tuple[PodSeen, ...]) -> bool:
    heads = (pod for pod in pods if pod.role == "head" and pod.attempt == job.attempt)
    return any(head.phase == "Running" and not head.is_deleting for head in heads)


def _token(secret: dict[str, object]) -> str | None:
    found = secret.get("data")
    encoded = found.get(TOKEN_KEY, "") if isinstance(found, dict) else ""
    try:
        return b64decode(encoded, validate=True).decode("ascii").strip() or None
    except (Base64Error, UnicodeDecodeError, TypeError):
        return None
