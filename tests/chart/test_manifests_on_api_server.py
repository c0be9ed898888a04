"""The objects that experiments need, before a real API server: every field exists, and pods are let in."""

import json
import sys
from typing import Any

import pytest
from chart_paths import REPOSITORY

from throwaway import add_ons
from throwaway.api_server import ApiServer
from throwaway.build import folder_of
from throwaway.programs import ALL

sys.path.insert(0, str(REPOSITORY / "tests/unit/operator_desired"))

from desired_cases import cases

CASES = cases()


@pytest.fixture(scope="module")
def kuberay(api_server: ApiServer) -> ApiServer:
    """The API server with KubeRay's CRDs, of which a run without nodes needs no controller."""
    if "rayjobs.ray.io" not in api_server.must("get", "crds", "-o", "name"):
        if not folder_of(ALL["kuberay"]).is_dir():
            pytest.skip("KubeRay's CRDs come with its program, which is not built")
        add_ons.install_crds(add_ons.KUBERAY, api_server)
    return api_server


def moved(manifest: dict[str, Any], namespace: str) -> str:
    return json.dumps({**manifest, "metadata": {**manifest["metadata"], "namespace": namespace}})


def orphaned(manifest: dict[str, Any], namespace: str) -> str:
    """In a namespace and without the owner, which is not there: what it owns would be collected at once."""
    metadata = {name: value for name, value in manifest["metadata"].items() if name != "ownerReferences"}
    return moved({**manifest, "metadata": metadata}, namespace)


@pytest.mark.parametrize("name", CASES)
def test_the_api_server_knows_every_field_and_takes_every_value(kuberay, module_namespace, name):
    words = ("create", "--dry-run=server", "--validate=strict", "-f", "-")
    for manifest in CASES[name]:
        done = kuberay.kubectl(*words, document=moved(manifest, module_namespace))
        assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", ["network_policies", "service_account", "trial"])
def test_what_is_applied_again_is_not_changed(kuberay, module_namespace, name):
    def applied() -> list[str]:
        words = ("apply", "--server-side", "--field-manager=scaling-operator", "-o", "json", "-f", "-")
        found = [kuberay.must(*words, document=orphaned(manifest, module_namespace)) for manifest in CASES[name]]
        return [json.loads(text)["metadata"]["resourceVersion"] for text in found]

    assert applied() == applied()


def pods_of(job: dict[str, Any], namespace: str) -> list[dict[str, Any]]:
    """The pods as KubeRay makes them, with the autoscaler's container and its copy of the worker's first."""
    cluster = job["spec"]["rayClusterSpec"]
    head, *workers = (group["template"] for group in (cluster["headGroupSpec"], *cluster["workerGroupSpecs"]))
    options = cluster.get("autoscalerOptions")
    beside = [{"name": "autoscaler", "image": "a:1", **_container(options)}] if options else []
    head = {**head, "spec": {**head["spec"], "containers": [*head["spec"]["containers"], *beside]}}
    waiting = [{**worker, "spec": {**worker["spec"], "initContainers": [_waiting(worker)]}} for worker in workers]
    kinds = {"apiVersion": "v1", "kind": "Pod"}
    return [
        {**kinds, **pod, "metadata": {**pod["metadata"], "name": f"pod-{index}", "namespace": namespace}}
        for index, pod in enumerate((head, *waiting))
    ]


def _container(options: dict[str, Any]) -> dict[str, Any]:
    return {key: options[key] for key in ("env", "resources", "securityContext", "volumeMounts", "imagePullPolicy")}


def _waiting(worker: dict[str, Any]) -> dict[str, Any]:
    (container,) = worker["spec"]["containers"]
    return {**container, "name": "wait-gcs-ready", "resources": {}, "ports": []}


@pytest.mark.parametrize("name", [name for name in CASES if name.startswith("ray_job") and "administrator" not in name])
def test_pods_pass_the_restricted_profile(kuberay, module_namespace, name):
    """An administrator may mount what it forbids, such as a folder of the node; an experiment may not."""
    server = kuberay
    server.must("label", "--overwrite", "namespace", module_namespace, "pod-security.kubernetes.io/enforce=restricted")
    account = CASES["service_account"][0]
    server.must("apply", "--server-side", "-f", "-", document=orphaned(account, module_namespace))
    server.kubectl("create", "priorityclass", "research", "--value=1")
    for pod in pods_of(CASES[name][0], module_namespace):
        pod["spec"]["serviceAccountName"] = account["metadata"]["name"]
        done = server.kubectl("create", "--dry-run=server", "--validate=strict", "-f", "-", document=json.dumps(pod))
        assert done.returncode == 0, done.stderr


def test_the_profile_would_refuse_what_is_not_restricted(kuberay, module_namespace):
    server = kuberay
    server.must("label", "--overwrite", "namespace", module_namespace, "pod-security.kubernetes.io/enforce=restricted")
    (job,) = CASES["ray_job_administrator"]
    pod = pods_of(job, module_namespace)[0]
    pod["spec"]["serviceAccountName"] = "default"
    pod["spec"].pop("priorityClassName")
    pod["spec"].pop("runtimeClassName")
    done = server.kubectl("create", "--dry-run=server", "-f", "-", document=json.dumps(pod))
    assert "violates PodSecurity" in done.stderr
    assert "hostPath" in done.stderr
