"""One pass: observe, decide, perform, and have made what the decision wants made off the event loop."""

import asyncio
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, Protocol

from scaling_operator.cluster.apply import MESSAGE_AGAIN_S, Writer
from scaling_operator.cluster.errors import Forbidden, Unavailable
from scaling_operator.cluster.observe import Observer, Pass
from scaling_operator.cluster.recall import Recall, Study, watched
from scaling_operator.cluster.seen import Key
from scaling_operator.decide import decide
from scaling_operator.decision import Decision
from scaling_operator.fitting import AnalysisRequest
from scaling_operator.planning import PlanRequest
from scaling_operator.queue import Again, Wait
from scaling_operator.science import Science

FORBIDDEN_AGAIN_S: Final = 15.0


class Witness(Protocol):
    """Is told of every pass: the metrics."""

    def passed(self, key: Key, found: Pass, decision: Decision, *, seconds: float) -> None:
        """A pass came to its end."""

    def failed(self, key: Key, reason: str, *, seconds: float) -> None:
        """A pass did not."""

    def forgot(self, key: Key) -> None:
        """There is no such experiment any more."""

    def studied(self, what: str, *, seconds: float) -> None:
        """A plan or an analysis was made."""


@dataclass(frozen=True)
class Reconciler:
    """Moves experiments one step closer to their specs."""

    observer: Observer
    writer: Writer
    science: Science
    witness: Witness
    mark: Callable[[Key], None]

    async def reconcile(self, key: Key) -> Again | None:
        """Move one experiment one step closer to its spec; return None where there is no such experiment.

        Safe to repeat at any time.

        Raises:
            Wait: something must come first that comes by itself.
            ClusterError: the API server refuses something.
        """
        began = time.monotonic()
        try:
            return await self._pass(key, began)
        except Exception as error:
            self.witness.failed(key, type(error).__name__, seconds=time.monotonic() - began)
            if isinstance(error, Unavailable):
                raise Wait(str(error), after_s=error.retry_after_s) from error
            if isinstance(error, Forbidden):  # RBAC or a quota: who sets it right wants to see it work soon
                raise Wait(str(error), after_s=FORBIDDEN_AGAIN_S) from error
            raise

    async def _pass(self, key: Key, began: float) -> Again | None:
        found = await self.observer.observe(key)
        if found is None:  # deleted: owner references garbage-collect the children
            self.witness.forgot(key)
            return None
        # In a thread: over 10,000 trials it takes long enough to be felt by everything else on the loop.
        decision = await asyncio.to_thread(decide, found.observed, now=datetime.now(UTC))
        found.recall.wind_down(decision.is_winding_down)
        outcome = await self.writer.perform(found, decision)
        self._study(key, found.recall, decision)
        self.witness.passed(key, found, decision, seconds=time.monotonic() - began)
        soonest = [decision.look_again_after_s, None if outcome.is_told else MESSAGE_AGAIN_S]
        return Again(min((s for s in soonest if s is not None), default=None))

    def _study(self, key: Key, recall: Recall, decision: Decision) -> None:
        if (plan := decision.wants_plan) is not None and not _is_making(recall.planning, plan.digest):
            if recall.planning is not None:
                recall.planning.task.cancel()
            recall.planning = self._begin(key, plan.digest, self._plan(key, recall, plan))
        # An analysis under way is let finish: in a fast sweep one that begins anew at each result would never end.
        if (analysis := decision.wants_analysis) is not None and not _is_running(recall.analysing):
            recall.analysing = self._begin(key, analysis.digest, self._analyse(key, recall, analysis))

    def _begin(self, key: Key, digest: str, work: Coroutine[Any, Any, None]) -> Study:
        task = asyncio.create_task(work, name=f"a study of {key}")
        return Study(digest, watched(task, on_failure=lambda: self.mark(key)))

    async def _plan(self, key: Key, recall: Recall, request: PlanRequest) -> None:
        began = time.monotonic()
        recall.plan = answer = await self.science.plan(request)
        if answer.plan is not None and answer.corpus_fingerprint is not None:
            recall.last_plan = answer
        self.witness.studied("plan", seconds=time.monotonic() - began)
        self.mark(key)

    async def _analyse(self, key: Key, recall: Recall, request: AnalysisRequest) -> None:
        began = time.monotonic()
        recall.analysis = await self.science.analyse(request)
        self.witness.studied("analysis", seconds=time.monotonic() - began)
        self.mark(key)


def _is_running(study: Study | None) -> bool:
    return study is not None and not study.task.done()


def _is_making(study: Study | None, digest: str) -> bool:
    return study is not None and study.digest == digest and not study.task.done()
