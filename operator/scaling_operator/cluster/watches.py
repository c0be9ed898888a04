"""Everything that is watched, beside the experiments themselves, which kopf brings."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, TypeVar

from scaling_api.labels import EXPERIMENT_UID
from scaling_operator.cluster import seen
from scaling_operator.cluster.client import Client
from scaling_operator.cluster.kinds import (
    CLAIMS,
    NETWORK_POLICIES,
    PODS,
    RAY_CLUSTERS,
    RAY_JOBS,
    SERVICE_ACCOUNTS,
    TRIALS,
    WORKLOADS,
    Kind,
)
from scaling_operator.cluster.reflector import Reflector
from scaling_operator.cluster.seen import Key
from scaling_operator.cluster.store import Store
from scaling_operator.decision import APPLIED_DIGEST
from scaling_operator.desired.manifest import Manifest
from scaling_operator.observed import ClaimSeen

T = TypeVar("T")
OURS: Final = EXPERIMENT_UID
"""Selects what carries an experiment's uid."""
APPLIED_KINDS: Final = (NETWORK_POLICIES, SERVICE_ACCOUNTS)
"""Kinds that are applied and of no other interest."""


@dataclass(frozen=True)
class Stores:
    """What the watches have brought."""

    trials: Store[seen.TrialFound]
    ray_jobs: Store[seen.RayJobFound]
    ray_clusters: Store[seen.RayClusterFound]
    workloads: Store[seen.WorkloadFound]
    pods: Store[seen.PodFound]
    claims: Store[ClaimSeen]
    applied: dict[str, Store[seen.AppliedFound]]
    """By kind."""

    def of(self, kind: Kind) -> Store[Any] | None:
        """Return the store of a kind that is written, so that the answer to a write can be merged."""
        written: dict[str, Store[Any]] = {TRIALS.name: self.trials, RAY_JOBS.name: self.ray_jobs, **self.applied}
        return written.get(kind.name)


def _namespace(manifest: Manifest) -> str:
    return str(manifest["metadata"]["namespace"])


def new_stores() -> Stores:
    """Return empty stores, each with its owner and its shape."""
    found = partial(seen.applied_found, digest_annotation=APPLIED_DIGEST)
    return Stores(
        trials=Store(owner_of=seen.labelled_key, shape=seen.trial_found),
        ray_jobs=Store(owner_of=seen.ray_job_key, shape=seen.ray_job_found),
        ray_clusters=Store(owner_of=seen.ray_cluster_key, shape=seen.ray_cluster_found),
        workloads=Store(owner_of=seen.workload_key, shape=seen.workload_found),
        pods=Store(owner_of=seen.labelled_key, shape=seen.pod_found),
        claims=Store(owner_of=_namespace, shape=seen.claim_found),
        applied={kind.name: Store(owner_of=seen.labelled_key, shape=found) for kind in APPLIED_KINDS},
    )


class Watches:
    """A reflector for each kind and namespace; says whose objects have changed, and when a kind comes or goes."""

    def __init__(
        self,
        client: Client,
        *,
        namespaces: tuple[str, ...],
        has_kueue: bool,
        on_change: Callable[[Key], None],
        on_claim: Callable[[str], None],
        on_kind: Callable[[], None],
    ) -> None:
        self.stores = stores = new_stores()
        places = namespaces or (None,)
        add = partial(_reflectors, client, places, on_change=on_change, on_kind=on_kind)
        self._ray_jobs = add(RAY_JOBS, stores.ray_jobs)
        self._workloads = add(WORKLOADS, stores.workloads) if has_kueue else []
        self._all: list[Reflector[Any]] = [
            *add(TRIALS, stores.trials, selector=OURS),
            *self._ray_jobs,
            *add(RAY_CLUSTERS, stores.ray_clusters),
            *self._workloads,
            *add(PODS, stores.pods, selector=OURS),
            *_reflectors(client, places, CLAIMS, stores.claims, on_change=on_claim, on_kind=on_kind),
            *(r for kind in APPLIED_KINDS for r in add(kind, stores.applied[kind.name], selector=OURS)),
        ]

    def start(self) -> None:
        """Begin to watch."""
        for reflector in self._all:
            reflector.start()

    def stop(self) -> None:
        """Ask the threads to end."""
        for reflector in self._all:
            reflector.stop()

    def unread(self) -> str | None:
        """Return a sentence where something has never been read yet, so that nothing may be concluded from it."""
        missing = [reflector for reflector in self._all if not reflector.has_synced]
        if not missing:
            return None
        why = next((f": {r.problem}" for r in missing if r.problem), "")
        return f"{', '.join(sorted({r.kind.plural for r in missing}))} have not been read yet{why}"

    @property
    def has_ray_jobs(self) -> bool:
        """KubeRay's kinds are installed."""
        return all(reflector.is_installed is not False for reflector in self._ray_jobs)

    @property
    def has_workloads(self) -> bool:
        """Kueue's kinds are installed."""
        return bool(self._workloads) and all(r.is_installed is not False for r in self._workloads)

    def ages(self) -> dict[str, float]:
        """Return for how many seconds nothing was heard of each kind, by its plural."""
        now = time.monotonic()
        ages: dict[str, float] = {}
        for reflector in self._all:
            ages[reflector.kind.plural] = max(ages.get(reflector.kind.plural, 0.0), now - reflector.heard_at)
        return ages


def _reflectors(
    client: Client,
    namespaces: tuple[str | None, ...],
    kind: Kind,
    store: Store[T],
    *,
    on_change: Callable[[Any], None],
    on_kind: Callable[[], None],
    selector: str = "",
) -> list[Reflector[T]]:
    """Return a reflector a namespace; they share a store, so each may only replace what is in its own."""
    return [
        Reflector(
            client, kind, store=store, on_change=on_change, on_kind=on_kind, namespace=namespace, selector=selector
        )
        for namespace in namespaces
    ]
