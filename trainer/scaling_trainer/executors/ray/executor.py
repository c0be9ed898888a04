"""Runs trials on Ray: lanes that are kept from trial to trial, and Ray Train for trials of several workers."""

import contextlib
import math
from collections.abc import Callable, Mapping
from pathlib import Path

from scaling_api.v1alpha1.trial import TrialSpec
from scaling_trainer.context import TrialContext
from scaling_trainer.executors.base import Capacity, Event, Ledger, Orders, Outcome
from scaling_trainer.executors.cores import usable_cores
from scaling_trainer.executors.failures import full_disk
from scaling_trainer.executors.local import RUN_TRIAL, estimate_of, setup_of
from scaling_trainer.executors.loop import Manner, run_loop
from scaling_trainer.executors.messages import Setup
from scaling_trainer.executors.ray.connection import Connection
from scaling_trainer.executors.ray.lanes import RayLanes
from scaling_trainer.executors.ray.pools import LOCAL_POOL, PoolSlots, capacities, pool_slots

IDLE_S = 15.0
"""A lane of a cluster that had no work for so long is let go, so that its node can go."""


class RayExecutor:
    """Runs trials on a Ray of its own on this machine, or on the nodes of a cluster."""

    def __init__(
        self,
        context: TrialContext,
        *,
        address: str | None = None,
        connection: Connection | None = None,
        lanes: int | None = None,
        run: str = RUN_TRIAL,
        estimate: Callable[[TrialSpec], float] | None = None,
        store: str | None = None,
        idle_s: float = IDLE_S,
    ) -> None:
        """Start a Ray or connect to one; `close` ends that.

        Args:
            context: what every trial shares; its folder is that of the results or, with a store, a scratch folder of
                each node. Its report and world are not used. Lanes print to its `logs`, on their nodes.
            address: of a running Ray, such as auto; its nodes have the orders' pools. Without it, a Ray of our own on
                this machine, whose one pool runs all trials.
            connection: in place of an address: one that is open already, and stays so.
            lanes: slots of that pool; without it, as many as there are usable cores.
            run: the function that runs a trial, as module:function, taking a TrialSpec and a TrialContext and
                returning a TrialStatus.
            estimate: seconds that a trial takes, for the order of trials.
            store: URI or path of the storage that checkpoints come from and go to, through the scratch folder.
            idle_s: seconds after which a lane of a cluster that has no work is let go.
        """
        self._folder = context.folder
        self._setup = setup_of(context, run=run, store=store)
        self._estimate = estimate or estimate_of(context)
        self._idle_s = idle_s
        self._is_ours = connection is None
        self._connection = connection or Connection.to(address, slots=lanes or usable_cores())
        slots = self._connection.local_slots
        self._local = None if slots is None else PoolSlots(LOCAL_POOL, min(slots, lanes or slots))
        self._lanes: RayLanes | None = None
        self._orders: Orders | None = None

    def run(self, orders: Callable[[], Orders], *, ledger: Ledger, on_event: Callable[[Event], None]) -> Outcome:
        """Run every trial that has no result yet; see `base.Executor`.

        Raises:
            ValueError: a trial's parent is neither in the plan nor finished.
        """

        def ask() -> Orders:
            self._orders = orders()
            return self._orders

        log = str(self._folder / "logs" / f"{ledger.epoch:0>4}-lane")
        self._lanes = RayLanes(self._pools, setup=self._lane_setup, log=log)
        manner = Manner(
            estimate=self._estimate,
            pool_of=self._pool_of,
            full_disk=lambda: str(full_disk(self._folder, is_scratch=self._setup.store is not None)),
            is_eager=self._local is not None,
            idle_s=math.inf if self._local else self._idle_s,
        )
        try:
            return run_loop(ask, self._lanes, ledger=ledger, on_event=on_event, manner=manner)
        finally:
            self._lanes = None
            _remove_empty(log)

    def capacity(self) -> Mapping[str, Capacity]:
        """Return what is up, by pool's name; nothing once it is closed."""
        return capacities(self._connection.nodes())

    @property
    def lanes(self) -> int:
        """Lanes that are ready or at work."""
        lanes = self._lanes
        return lanes.ready if lanes is not None else 0

    def close(self) -> None:
        """Disconnect, and end the Ray if it is our own; closing again does nothing."""
        if self._is_ours:
            self._connection.close()

    def _lane_setup(self) -> Setup:
        assert self._orders is not None
        return self._setup.model_copy(update={"cpu_fallback": self._orders.cpu_fallback})

    def _pools(self) -> Mapping[str, PoolSlots]:
        if self._local is not None:
            return {self._local.name: self._local}
        assert self._orders is not None
        return {pool.name: pool_slots(pool) for pool in self._orders.execution.pools}

    def _pool_of(self, trial: TrialSpec) -> str:
        if self._local is not None:
            return self._local.name
        assert self._orders is not None
        pools = self._orders.execution.pools
        return trial.compute.pool or (pools[0].name if pools else "default")


def _remove_empty(log: str) -> None:
    """Remove the logs of lanes that printed nothing, of those on this machine."""
    path = Path(log)
    for found in path.parent.glob(f"{path.name}*.log"):
        with contextlib.suppress(OSError):
            if found.stat().st_size == 0:
                found.unlink()
