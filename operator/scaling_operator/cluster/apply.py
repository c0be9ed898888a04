"""Carrying out a decision: the one place where anything is written."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final

from scaling_operator.cluster.client import Client
from scaling_operator.cluster.driver_client import DriverError
from scaling_operator.cluster.errors import Forbidden, Invalid, Missing, Taken
from scaling_operator.cluster.events import Recorder
from scaling_operator.cluster.kinds import TRIALS, Kind, kind_of
from scaling_operator.cluster.observe import Pass
from scaling_operator.cluster.recall import Recall
from scaling_operator.cluster.watches import Stores
from scaling_operator.decision import Decision, Event, ObjectRef
from scaling_operator.desired.manifest import Manifest
from scaling_operator.desired.trial import scaling_trial
from scaling_operator.queue import Wait

logger = logging.getLogger(__name__)

TRIALS_MANAGER: Final = "scaling-operator-trials"
OBJECTS_MANAGER: Final = "scaling-operator-objects"
CREATE_MANAGER: Final = "scaling-operator"
AT_ONCE: Final = 32
"""Trials written at a time; the token bucket says how fast."""
MESSAGE_AGAIN_S: Final = 2.0
"""A driver that did not take its plan is told again after so long."""
NOT_WRITTEN: Final = "NotWritten"
"""Reason of the Event where the API server refuses what a decision writes."""


@dataclass(frozen=True)
class Outcome:
    """What a decision has led to, besides what can be observed."""

    is_told: bool = True
    """The driver has taken the message, where there was one."""


@dataclass(frozen=True)
class Writer:
    """Carries out decisions."""

    client: Client
    stores: Stores
    recorder: Recorder

    async def perform(self, found: Pass, decision: Decision) -> Outcome:
        """Carry out a decision in the order that `Decision` promises; what fails ends it.

        Raises:
            Wait: the experiment has changed since it was read.
            ClusterError: the API server does not answer, or refuses.
        """
        try:
            return await self._perform(found, decision)
        except (Forbidden, Invalid) as error:
            if not error.is_for_the_last_time:
                message = f"The API server refuses what the operator writes: {error}"
                self.recorder.say(found.observed.identity, Event("Warning", NOT_WRITTEN, message))
            raise

    async def _perform(self, found: Pass, decision: Decision) -> Outcome:
        identity = found.observed.identity
        await _all(self._apply_trial, (scaling_trial(identity, record) for record in decision.trials))
        if found.recall.line is not None:
            found.recall.line.link.dealt_with(found.observed.driver, decision.cursor)
        for manifest in decision.applies:
            self._merge(manifest, await self.client.apply(manifest, field_manager=OBJECTS_MANAGER))
        for manifest in decision.creates:
            await self._create(manifest)
        is_told = await self._tell(found.recall, decision)
        await self._write_status(found, decision)
        for event in decision.events:
            self.recorder.say(identity, event)
        for gone in decision.deletes:
            await self._delete(gone, identity.namespace)
        return Outcome(is_told)

    async def _apply_trial(self, manifest: Manifest) -> None:
        try:
            answer = await self.client.apply(manifest, field_manager=TRIALS_MANAGER)
        except Invalid:
            # A record of an earlier version of the operator may have a spec of fewer fields, and specs never change.
            metadata, spec = manifest["metadata"], manifest["spec"]
            stored = await self.client.get(TRIALS, metadata["namespace"], metadata["name"])
            kept = stored["spec"] if stored else spec
            if kept == spec or kept.get("id") != spec["id"]:
                raise
            answer = await self.client.apply({**manifest, "spec": kept}, field_manager=TRIALS_MANAGER)
        self._merge(manifest, answer)

    async def _create(self, manifest: Manifest) -> None:
        try:
            self._merge(manifest, await self.client.create(manifest, field_manager=CREATE_MANAGER))
        except Taken:
            name = manifest["metadata"]["name"]
            logger.info("%s %s exists already and is left as it is", manifest["kind"], name)

    async def _tell(self, recall: Recall, decision: Decision) -> bool:
        if decision.message is None or recall.line is None:
            return decision.message is None
        try:
            await recall.line.link.send(decision.message)
        except DriverError:
            return False  # the link has noted it for the next pass, and the status must be written all the same
        return True

    async def _write_status(self, found: Pass, decision: Decision) -> None:
        if decision.status is None:
            return
        status = decision.status.model_dump(mode="json", exclude_none=True)
        try:
            await self.client.write_status(found.manifest, status)
        except Taken:
            raise Wait("it has changed since it was read", after_s=0.0) from None
        except Missing:
            raise Wait("it was deleted meanwhile", after_s=0.0) from None

    async def _delete(self, gone: ObjectRef, namespace: str) -> None:
        kind = kind_of({"apiVersion": gone.api_version, "kind": gone.kind})
        try:
            await self.client.delete(kind, namespace, gone.name, uid=gone.uid)
        except (Missing, Taken):  # it is gone, or another has its name
            return

    def _merge(self, asked: Manifest, answer: Manifest) -> None:
        """Let the next pass read what this one wrote."""
        kind: Kind = kind_of(asked)
        if (store := self.stores.of(kind)) is not None:
            answer["metadata"].pop("managedFields", None)
            store.merge(answer)


async def _all(write: Callable[[Manifest], Awaitable[None]], manifests: Iterable[Manifest]) -> None:
    """Write all, several at a time; raise the first failure once none is under way."""
    gate = asyncio.Semaphore(AT_ONCE)
    is_failing = False

    async def one(manifest: Manifest) -> None:
        nonlocal is_failing
        async with gate:
            if is_failing:
                return
            try:
                await write(manifest)
            except BaseException:
                is_failing = True
                raise

    found: list[Any] = await asyncio.gather(*(one(manifest) for manifest in manifests), return_exceptions=True)
    failures = [result for result in found if isinstance(result, BaseException)]
    if failures:
        raise failures[0]
