"""In place of KubeRay and of nodes, where there are none: heads are real driver processes on this machine.

It does what the real one does as far as the operator can see it: RayCluster, head and worker pods with KubeRay's
labels and owners, statuses that move forward, the end that follows the driver's. Trials run by a script.
"""

import contextlib
import os
import random
import shlex
import signal
import subprocess
import sys
import threading
from base64 import b64decode
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from operators import Bed, environment_with_tests

from scaling_operator.cluster.bucket import TokenBucket
from scaling_operator.cluster.client import MERGE, Call, Client, load_configuration
from scaling_operator.cluster.errors import ClusterError, Missing
from scaling_operator.cluster.kinds import PODS, RAY_CLUSTERS, RAY_JOBS, SECRETS
from throwaway.ports import free_port

ROUND_S: Final = 0.1


@dataclass
class Head:
    """A driver that runs, or has run."""

    job: dict[str, Any]
    cluster: str
    process: "subprocess.Popen[bytes]"
    is_over: bool = False


@dataclass
class KubeRayStandIn:
    """Brings up what RayJobs of a namespace ask for."""

    bed: Bed
    client: Client
    lanes: int = 4
    trial_s: float = 0.05
    host: str = "127.0.0.1"
    """Drivers listen here."""
    heads: dict[str, Head] = field(default_factory=dict)
    """By uid of the RayJob."""

    def __post_init__(self) -> None:
        self.folder = self.bed.folder / "kuberay"
        self.storage = self.folder / "storage"
        self.storage.mkdir(parents=True, exist_ok=True)
        self.runs = self.folder / "runs"
        self.runs.touch()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="kuberay", daemon=True)
        self.failures: list[Exception] = []

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End, and kill all drivers."""
        self._stop.set()
        self._thread.join(20)
        for head in self.heads.values():
            self._kill(head)
        assert not self.failures, self.failures[0]

    def trials_run(self) -> list[str]:
        """Return the ids of all trials that were run to their end, in that order."""
        return self.runs.read_text().split()

    def kill_head(self, ray_job: str) -> None:
        """Kill a driver as node loss does; KubeRay makes a new head and submits the same job again."""
        head = next(head for head in self.heads.values() if head.job["metadata"]["name"] == ray_job)
        self._kill(head)
        head.process = self._driver(head.job, head.cluster)

    def _run(self) -> None:
        while not self._stop.wait(ROUND_S):
            try:
                self._round()
            except ClusterError:
                continue  # it changes under our hands, or the API server is away
            except Exception as error:
                self.failures.append(error)
                raise

    def _round(self) -> None:
        jobs = self.client.call_now(Call("GET", RAY_JOBS.path(self.bed.namespace)))["items"]
        there = {job["metadata"]["uid"] for job in jobs if "deletionTimestamp" not in job["metadata"]}
        for uid, head in list(self.heads.items()):
            if uid not in there:
                self._kill(head)
                del self.heads[uid]
        for job in jobs:
            uid = job["metadata"]["uid"]
            if uid in there and uid not in self.heads and not job.get("status", {}).get("jobDeploymentStatus"):
                self._begin(job)
        for head in self.heads.values():
            if head.process.poll() is not None and not head.is_over:
                self._end(head)

    def _begin(self, job: dict[str, Any]) -> None:
        name, uid = job["metadata"]["name"], job["metadata"]["uid"]
        cluster = f"{name}-{random.choice('bcdfg')}{uid[:4]}"
        self._set(job, {"jobDeploymentStatus": "Initializing", "rayClusterName": cluster, "jobId": f"{name}-x"})
        owner = self._cluster(job, cluster)
        self._pod(job, cluster, owner, "head", job["spec"]["rayClusterSpec"]["headGroupSpec"])
        for group in job["spec"]["rayClusterSpec"].get("workerGroupSpecs", []):
            self._pod(job, cluster, owner, group["groupName"], group)
        self.heads[uid] = Head(job, cluster, self._driver(job, cluster))
        self._set(job, {"jobDeploymentStatus": "Running", "jobStatus": "RUNNING", "startTime": _now()})

    def _end(self, head: Head) -> None:
        head.is_over = True
        is_good = head.process.returncode == 0
        status = {
            "jobStatus": "SUCCEEDED" if is_good else "FAILED",
            "jobDeploymentStatus": "Complete" if is_good else "Failed",
            "endTime": _now(),
            "message": f"the driver ended with status {head.process.returncode}",
        }
        self._set(head.job, status)
        with contextlib.suppress(Missing):
            path = RAY_CLUSTERS.path(self.bed.namespace, head.cluster)
            self.client.call_now(Call("DELETE", path, body={"propagationPolicy": "Background"}))

    def _cluster(self, job: dict[str, Any], cluster: str) -> dict[str, Any]:
        metadata = job["metadata"]
        labels = {**metadata.get("labels", {}), "ray.io/originated-from-cr-name": metadata["name"]}
        body = {
            "apiVersion": "ray.io/v1",
            "kind": "RayCluster",
            "metadata": {"name": cluster, "labels": labels, "ownerReferences": [_owner(job)]},
            "spec": job["spec"]["rayClusterSpec"],
        }
        return self.client.call_now(Call("POST", RAY_CLUSTERS.path(self.bed.namespace), body=body))

    def _pod(self, job: dict[str, Any], cluster: str, owner: dict[str, Any], group: str, spec: dict[str, Any]) -> None:
        role = "head" if group == "head" else "worker"
        template = spec["template"]
        labels = {
            **template["metadata"].get("labels", {}),
            "ray.io/cluster": cluster,
            "ray.io/node-type": role,
            "ray.io/group": "headgroup" if role == "head" else group,
        }
        name = f"{cluster}-{role}" if role == "head" else f"{cluster}-{group}-worker-{random.randrange(10**5):05}"
        body = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": name, "labels": labels, "ownerReferences": [_owner(owner)]},
            "spec": {
                "containers": [{"name": f"ray-{role}", "image": "localhost/none:1"}],
                "automountServiceAccountToken": False,
            },
        }
        self.client.call_now(Call("POST", PODS.path(self.bed.namespace), body=body))
        status = {
            "phase": "Running",
            "startTime": _now(),
            "conditions": [{"type": kind, "status": "True"} for kind in ("PodScheduled", "Ready")],
            "containerStatuses": [
                {
                    "name": f"ray-{role}",
                    "ready": True,
                    "restartCount": 0,
                    "image": "localhost/none:1",
                    "imageID": "",
                    "state": {"running": {"startedAt": _now()}},
                }
            ],
        }
        path = PODS.path(self.bed.namespace, name) + "/status"
        self.client.call_now(Call("PATCH", path, body={"status": status}, content_type=MERGE))

    def _driver(self, job: dict[str, Any], cluster: str) -> "subprocess.Popen[bytes]":
        words = shlex.split(job["spec"]["entrypoint"])
        given = dict(zip(words[3::2], words[4::2], strict=True))
        port = free_port()
        options = {
            **given,
            "--storage": str(self.storage),
            "--token-file": str(self._token(job)),
            "--port": str(port),
            "--host": self.host,
            "--scratch": str(self.folder / "scratch" / cluster),
            "--executor": "local",
            "--lanes": str(self.lanes),
            "--run": "scripted_run:run_trial",
        }
        environment = {
            **environment_with_tests(),
            "SCALING_TEST_TRIAL_S": str(self.trial_s),
            "SCALING_TEST_RUNS": str(self.runs),
        }
        with (self.folder / f"{cluster}.log").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, *words[1:3], *(word for option in options.items() for word in option)],
                env=environment,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        heads = self.bed.folder / "heads"
        heads.mkdir(exist_ok=True)
        (heads / f"{self.bed.namespace}.{cluster}").write_text(f"http://{self.host}:{port}")
        return process

    def _token(self, job: dict[str, Any]) -> Path:
        experiment = job["metadata"]["labels"]["scalinglaws.dev/experiment"]
        secret = self.client.call_now(Call("GET", SECRETS.path(self.bed.namespace, f"{experiment}-driver")))
        path = self.folder / f"{experiment}.token"
        path.write_bytes(b64decode(secret["data"]["token"]))
        return path

    def _set(self, job: dict[str, Any], status: dict[str, Any]) -> None:
        path = RAY_JOBS.path(self.bed.namespace, job["metadata"]["name"]) + "/status"
        self.client.call_now(Call("PATCH", path, body={"status": status}, content_type=MERGE))

    def _kill(self, head: Head) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(head.process.pid, signal.SIGKILL)
        head.process.wait()


@contextlib.contextmanager
def kuberay(bed: Bed, kind: type[KubeRayStandIn] = KubeRayStandIn, **options: Any) -> Iterator[KubeRayStandIn]:
    """Have RayJobs of a namespace served."""
    client = Client(load_configuration(str(bed.server.kubeconfig)), bucket=TokenBucket(1000, burst=1000))
    stand_in = kind(bed, client, **options)
    stand_in.start()
    try:
        yield stand_in
    finally:
        stand_in.stop()
        client.close()


def _owner(owner: dict[str, Any]) -> dict[str, Any]:
    metadata = owner["metadata"]
    return {
        "apiVersion": owner["apiVersion"],
        "kind": owner["kind"],
        "name": metadata["name"],
        "uid": metadata["uid"],
        "controller": True,
        "blockOwnerDeletion": True,
    }


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
