"""Writes on an API server what an operator and KubeRay would write."""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from kubernetes.client import ApiClient, CoreV1Api, CustomObjectsApi, EventsV1Api

from scaling_api.v1alpha1.base import API_VERSION, GROUP, VERSION
from scaling_api.v1alpha1.status import ExperimentStatus
from scaling_api.v1alpha1.trial import TrialRecord


class Writer:
    """An operator's hand in one namespace."""

    def __init__(self, client: ApiClient, namespace: str) -> None:
        self.client, self.namespace = client, namespace
        self._objects = CustomObjectsApi(client)

    def experiment(self, manifest: dict[str, Any], status: ExperimentStatus | None = None) -> dict[str, Any]:
        """Create an experiment, with a status."""
        made: dict[str, Any] = self._objects.create_namespaced_custom_object(
            GROUP, VERSION, self.namespace, "scalingexperiments", manifest
        )
        return self.status(made["metadata"]["name"], status) if status is not None else made

    def status(self, name: str, status: ExperimentStatus) -> dict[str, Any]:
        """Write a status over what was there."""
        body = {"status": status.model_dump(mode="json", exclude_none=True)}
        written: dict[str, Any] = self._objects.patch_namespaced_custom_object_status(
            GROUP, VERSION, self.namespace, "scalingexperiments", name, body
        )
        return written

    def trials(self, owner: dict[str, Any], records: Iterable[TrialRecord]) -> None:
        """Create or replace the records of trials."""
        for record in records:
            body = trial_manifest(owner, record)
            self._objects.patch_namespaced_custom_object(
                GROUP, VERSION, self.namespace, "scalingtrials", body["metadata"]["name"], body,
                field_manager="operator", force=True, _content_type="application/apply-patch+yaml",
            )  # fmt: skip

    def pod(self, manifest: dict[str, Any], status: dict[str, Any]) -> None:
        """Create a pod on a node that there is not, and write its status as a kubelet would."""
        core = CoreV1Api(self.client)
        core.create_namespaced_pod(self.namespace, manifest)
        core.patch_namespaced_pod_status(manifest["metadata"]["name"], self.namespace, {"status": status})

    def event(self, about: dict[str, str], reason: str, note: str) -> None:
        """Write a warning, as of now."""
        at = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        regarding = {"namespace": self.namespace, **about}
        EventsV1Api(self.client).create_namespaced_event(self.namespace, event_manifest(regarding, reason, note, at=at))

    def delete(self, name: str) -> None:
        self._objects.delete_namespaced_custom_object(GROUP, VERSION, self.namespace, "scalingexperiments", name)


def trial_manifest(owner: dict[str, Any], record: TrialRecord) -> dict[str, Any]:
    metadata = owner["metadata"]
    reference = {
        "apiVersion": API_VERSION,
        "kind": "ScalingExperiment",
        "name": metadata["name"],
        "uid": metadata["uid"],
    }
    labels = {
        "experiment": metadata["name"], "experiment-uid": metadata["uid"], "state": record.status.state.value,
        "kind": record.spec.kind.value,
    }  # fmt: skip
    return {
        "apiVersion": API_VERSION,
        "kind": "ScalingTrial",
        "metadata": {
            "name": f"{metadata['name']}-{record.spec.id}",
            "namespace": metadata["namespace"],
            "labels": {f"{GROUP}/{key}": value for key, value in labels.items()},
            "ownerReferences": [{**reference, "controller": True, "blockOwnerDeletion": False}],
        },
        **record.model_dump(mode="json", exclude_none=True),
    }


def pod_manifest(owner: dict[str, Any], name: str, *, role: str, pool: str = "", cluster: str = "") -> dict[str, Any]:
    """A Ray pod as KubeRay makes it of the operator's template."""
    metadata = owner["metadata"]
    labels = {
        f"{GROUP}/experiment": metadata["name"], f"{GROUP}/experiment-uid": metadata["uid"],
        "ray.io/cluster": cluster or f"{metadata['name']}-a1-k2x9p", "ray.io/node-type": role,
        "ray.io/group": pool or "headgroup",
    }  # fmt: skip
    container = "ray-head" if role == "head" else "ray-worker"
    spec = {"containers": [{"name": container, "image": "example.invalid/none"}], "nodeName": "node-of-no-machine"}
    return {"metadata": {"name": name, "labels": labels}, "spec": spec}


def container_status(name: str, state: dict[str, Any], *, restarts: int = 0, is_ready: bool = False) -> dict[str, Any]:
    return {
        "name": name, "state": state, "restartCount": restarts, "ready": is_ready, "image": "", "imageID": "",
    }  # fmt: skip


def pod_status(phase: str, containers: list[dict[str, Any]]) -> dict[str, Any]:
    is_ready = all(container["ready"] for container in containers)
    conditions = [{"type": "Ready", "status": "True" if is_ready else "False"}]
    return {"phase": phase, "conditions": conditions, "containerStatuses": containers}


def event_manifest(
    regarding: dict[str, str], reason: str, note: str, *, at: str, type_: str = "Warning"
) -> dict[str, Any]:
    digest = abs(hash((str(regarding), reason, note)))
    return {
        "apiVersion": "events.k8s.io/v1", "kind": "Event", "metadata": {"name": f"event-{digest:x}"},
        "eventTime": at, "reportingController": "tests", "reportingInstance": "tests", "action": reason,
        "reason": reason, "regarding": regarding, "note": note, "type": type_,
    }  # fmt: skip
