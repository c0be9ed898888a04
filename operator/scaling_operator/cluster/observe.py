"""One pass reads everything here: the experiment from etcd, the rest from watches and from the line to its driver."""

import secrets
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Final

from scaling_api.v1alpha1.trial import TrialRecord
from scaling_operator.cluster.client import Call, Client
from scaling_operator.cluster.errors import Missing
from scaling_operator.cluster.experiment import identity_of, read_spec, read_status
from scaling_operator.cluster.kinds import EXPERIMENTS
from scaling_operator.cluster.lines import Lines, has_ended
from scaling_operator.cluster.recall import Recall, Recalls
from scaling_operator.cluster.seen import Key, RayJobFound, warning_seen
from scaling_operator.cluster.watches import Watches
from scaling_operator.desired.manifest import Manifest
from scaling_operator.observed import (
    Apis,
    ClaimSeen,
    Identity,
    Observed,
    PodSeen,
    RayJobSeen,
    Usage,
    WarningSeen,
    WorkloadSeen,
)
from scaling_operator.queue import Wait
from scaling_operator.settings import Settings

WARNINGS_S: Final = 5.0
"""A namespace's warnings are read again after so long, by those who look for what is wrong."""
MOST_WARNINGS: Final = 500
WARNING_AGE: Final = timedelta(hours=1)


@dataclass(frozen=True)
class Pass:
    """What was read, and what writing needs to know besides."""

    observed: Observed
    manifest: Manifest
    """The experiment as it was read: its status is written only over this version."""
    recall: Recall


@dataclass
class Observer:
    """Reads what a pass must know."""

    client: Client
    settings: Settings
    watches: Watches
    lines: Lines
    recalls: Recalls
    _warnings: dict[str, tuple[float, list[WarningSeen]]] = field(default_factory=dict)

    async def observe(self, key: Key) -> Pass | None:
        """Return everything that a pass must know; None where there is no such experiment.

        Raises:
            Wait: something has not been read yet.
            ClusterError: the API server does not answer, or refuses.
        """
        if unread := self.watches.unread():
            raise Wait(unread)
        manifest = await self.client.get(EXPERIMENTS, key.namespace, key.name)
        if manifest is None:
            self.recalls.forget(key)
            return None
        identity = identity_of(manifest)
        recall = self.recalls.of(key, identity.uid)
        if recall.spec is None or recall.spec.generation != identity.generation:
            recall.spec = read_spec(manifest)
        return Pass(await self._observed(key, identity, manifest, recall=recall), manifest, recall)

    async def _observed(self, key: Key, identity: Identity, manifest: Manifest, *, recall: Recall) -> Observed:
        assert recall.spec is not None
        metadata, found = manifest["metadata"], self._jobs(key)
        trials = self._trials(key, identity, recall)
        jobs = tuple(self._job(job, key, identity) for job in found)
        pods = self._pods(key, identity)
        secret = await self.lines.secret(identity, recall)
        job = _in_use(jobs)
        ray_cluster = next((f.ray_cluster for f in found if job and f.seen.name == job.name), "")
        return Observed(
            identity=identity,
            created_at=datetime.fromisoformat(metadata["creationTimestamp"]),
            spec=recall.spec.spec,
            problems=recall.spec.problems,
            settings=self.settings,
            fresh_token=secrets.token_urlsafe(32),
            is_deleting="deletionTimestamp" in metadata,
            keeps_dependents="orphan" in metadata.get("finalizers", ()),
            status=read_status(manifest),
            trials=trials,
            plan=recall.plan,
            last_plan=recall.last_plan,
            analysis=recall.analysis,
            ray_jobs=jobs,
            pods=pods,
            warnings=await self._warnings_about(key, jobs, pods),
            workload=self._workload(key, job),
            claim=self._claim(identity, recall),
            secret=secret,
            known_token=recall.token,
            winding_down_since=recall.winding_down_since,
            applied=self._applied(key, identity),
            driver=self.lines.listen(identity, recall, job=job, ray_cluster=ray_cluster, pods=pods),
            apis=Apis(ray_job=self.watches.has_ray_jobs, kueue=self.watches.has_workloads),
            others=self._others(identity),
        )

    def _jobs(self, key: Key) -> list[RayJobFound]:
        return sorted(self.watches.stores.ray_jobs.owned_by(key).values(), key=lambda found: found.seen.attempt)

    def _job(self, found: RayJobFound, key: Key, identity: Identity) -> RayJobSeen:
        clusters = self.watches.stores.ray_clusters.owned_by(key).values()
        named = [cluster.seen for cluster in clusters if cluster.seen.name == found.ray_cluster]
        is_ours = found.controller_uid == identity.uid
        return replace(found.seen, is_ours=is_ours, cluster=named[0] if named else None)

    def _trials(self, key: Key, identity: Identity, recall: Recall) -> Mapping[str, TrialRecord]:
        found = self.watches.stores.trials.owned_by(key).values()
        trials = {t.record.spec.id: t.record for t in found if t.record and t.experiment_uid == identity.uid}
        if not recall.recorded <= trials.keys() and recall.line is not None:
            recall.line.link.read_again()  # someone has removed a record: the driver has its row
        recall.recorded = frozenset(trials)
        return trials

    def _pods(self, key: Key, identity: Identity) -> tuple[PodSeen, ...]:
        found = self.watches.stores.pods.owned_by(key).values()
        return tuple(pod.seen for pod in found if pod.experiment_uid == identity.uid)

    def _workload(self, key: Key, job: RayJobSeen | None) -> WorkloadSeen | None:
        found = self.watches.stores.workloads.owned_by(key).values()
        return next((w.seen for w in found if job is not None and w.ray_job == job.name), None)

    def _claim(self, identity: Identity, recall: Recall) -> ClaimSeen | None:
        spec = recall.spec.spec if recall.spec else None
        name = self.settings.storage_of(spec.execution.storage).claim_name if spec else None
        return self.watches.stores.claims.at(identity.namespace, name) if name else None

    def _applied(self, key: Key, identity: Identity) -> Mapping[str, str | None]:
        return {
            f"{kind}/{name}": found.digest
            for kind, store in self.watches.stores.applied.items()
            for name, found in store.owned_by(key).items()
            if found.experiment_uid == identity.uid
        }

    def _others(self, identity: Identity) -> Usage:
        others: dict[str, int] = {}
        for key, found in self.watches.stores.ray_jobs.owners():
            is_other = isinstance(key, Key) and key.namespace == identity.namespace and key.name != identity.name
            if is_other and found.experiment_uid and not has_ended(found.seen):
                others[found.experiment_uid] = max(others.get(found.experiment_uid, 0), found.accelerators)
        return Usage(experiments=len(others), accelerators=sum(others.values()))

    async def _warnings_about(
        self, key: Key, jobs: Iterable[RayJobSeen], pods: Iterable[PodSeen]
    ) -> tuple[WarningSeen, ...]:
        """Return the warnings about an experiment's objects, where something is not as it should be."""
        waiting = [job for job in jobs if job.is_ours and not has_ended(job)]
        ready = {pod.attempt for pod in pods if pod.role == "head" and pod.is_ready}
        is_well = all(job.attempt in ready for job in waiting) and all(pod.phase != "Pending" for pod in pods)
        if is_well:
            return ()
        names = [job.name for job in waiting]
        found = await self._namespace_warnings(key.namespace)
        return tuple(w for w in found if _is_about(w, names))

    async def _namespace_warnings(self, namespace: str) -> list[WarningSeen]:
        read_at, found = self._warnings.get(namespace, (float("-inf"), []))
        if time.monotonic() - read_at < WARNINGS_S:
            return found
        query = {"fieldSelector": "type=Warning", "limit": str(MOST_WARNINGS)}
        try:
            answer = await self.client.call(Call("GET", f"/api/v1/namespaces/{namespace}/events", query=query))
        except Missing:
            answer = {}
        oldest = datetime.now(UTC) - WARNING_AGE
        found = [w for item in answer.get("items", ()) if (w := warning_seen(item)) and w.at >= oldest]
        self._warnings[namespace] = (time.monotonic(), found)
        return found


def _in_use(jobs: Iterable[RayJobSeen]) -> RayJobSeen | None:
    """Return the RayJob whose driver is to be asked: the last of ours that has not ended."""
    running = [job for job in jobs if job.is_ours and not job.is_deleting and not has_ended(job)]
    return running[-1] if running else None


def _is_about(warning: WarningSeen, names: Iterable[str]) -> bool:
    """Names of RayClusters and pods begin with that of their RayJob and a dash."""
    about = warning.about.partition("/")[2]
    return any(about == name or about.startswith(f"{name}-") for name in names)
