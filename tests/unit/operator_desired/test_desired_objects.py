import json
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
from desired_cases import (
    GPU_POOL,
    IDENTITY,
    QUEUED,
    TPU_POOL,
    cases,
    experiment_spec,
    settings_with,
)
from hypothesis import given
from hypothesis import strategies as st
from ruamel.yaml import YAML

from scaling_api.generate.block_yaml import to_yaml
from scaling_api.v1alpha1.execution import Pool, Resources
from scaling_operator.desired.driver import driver_address
from scaling_operator.desired.network_policy import network_policies
from scaling_operator.desired.quantities import filled, parse_quantity, slots_of
from scaling_operator.desired.ray_job import ray_job, replay_job
from scaling_operator.desired.service_account import service_account
from scaling_operator.observed import Identity
from scaling_operator.settings import AccessMode, Settings

GOLDEN = Path(__file__).parent / "golden"
CASES = cases()
RAY_JOBS = {name: case[0] for name, case in CASES.items() if name.startswith("ray_job")}


def pods_of(job: dict[str, Any]) -> list[dict[str, Any]]:
    cluster = job["spec"]["rayClusterSpec"]
    return [group["template"] for group in (cluster["headGroupSpec"], *cluster["workerGroupSpecs"])]


def containers_of(job: dict[str, Any]) -> list[dict[str, Any]]:
    return list(chain.from_iterable(pod["spec"]["containers"] for pod in pods_of(job)))


@pytest.mark.parametrize("name", CASES)
def test_objects_are_as_in_the_golden_file(name, request):
    file, text = GOLDEN / f"{name}.yaml", "---\n".join(map(to_yaml, CASES[name]))
    if request.config.getoption("--update-golden"):
        file.write_text(text)
    assert text == file.read_text(), "look at the difference; `pytest --update-golden` writes it"


def test_no_golden_file_is_left_over():
    assert {file.stem for file in GOLDEN.iterdir()} == CASES.keys()


@pytest.mark.parametrize("name", CASES)
def test_all_but_the_shared_claim_go_with_the_experiment(name):
    for manifest in CASES[name]:
        owners = manifest["metadata"].get("ownerReferences", [])
        assert [owner["uid"] for owner in owners] == ([] if name == "claim" else [IDENTITY.uid])
        assert manifest["metadata"]["namespace"] == IDENTITY.namespace


@pytest.mark.parametrize("job", RAY_JOBS.values(), ids=RAY_JOBS)
def test_no_ray_container_has_a_kubernetes_token_and_none_runs_with_rights(job):
    tokens = "/var/run/secrets/kubernetes.io"
    for pod in pods_of(job):
        assert pod["spec"]["automountServiceAccountToken"] is False
        assert pod["spec"]["securityContext"]["runAsNonRoot"] is True
        assert pod["spec"]["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    options = job["spec"]["rayClusterSpec"].get("autoscalerOptions", {})
    for container in containers_of(job):
        assert not any(mount["mountPath"].startswith(tokens) for mount in container["volumeMounts"])
    for container in (*containers_of(job), *([options] if options else [])):
        assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
        assert container["securityContext"]["allowPrivilegeEscalation"] is False
        assert container["securityContext"]["readOnlyRootFilesystem"] is True
        assert "/tmp" in [mount["mountPath"] for mount in container["volumeMounts"]]
    assert any(mount["mountPath"].startswith(tokens) for mount in options.get("volumeMounts", [])) == bool(options)


@pytest.mark.parametrize("job", RAY_JOBS.values(), ids=RAY_JOBS)
def test_every_mount_has_its_volume(job):
    cluster = job["spec"]["rayClusterSpec"]
    beside = cluster.get("autoscalerOptions", {}).get("volumeMounts", [])
    for pod, further in zip(pods_of(job), [beside, *([] for _ in cluster["workerGroupSpecs"])], strict=True):
        volumes = [volume["name"] for volume in pod["spec"]["volumes"]]
        mounts = [*pod["spec"]["containers"][0]["volumeMounts"], *further]
        paths = [mount["mountPath"] for mount in pod["spec"]["containers"][0]["volumeMounts"]]
        assert {mount["name"] for mount in mounts} <= set(volumes)
        assert len(paths) == len(set(paths))
        assert len(volumes) == len(set(volumes))


def test_the_head_alone_has_the_driver_and_its_token_and_runs_no_trials():
    head, *workers = pods_of(RAY_JOBS["ray_job_gpu"])
    assert "scaling-driver-token" in json.dumps(head)
    assert "scaling-driver-token" not in json.dumps(workers)
    params = RAY_JOBS["ray_job_gpu"]["spec"]["rayClusterSpec"]["headGroupSpec"]["rayStartParams"]
    assert (params["num-cpus"], params["num-gpus"]) == ("0", "0")
    ports = {port["name"]: port["containerPort"] for port in head["spec"]["containers"][0]["ports"]}
    assert (
        ports.items()
        >= {"gcs-server": 6379, "dashboard": 8265, "client": 10001, "metrics": 8080, "driver": 8470}.items()
    )


@pytest.mark.parametrize(
    ("pool", "slots"),
    [
        (GPU_POOL, 8),
        (TPU_POOL, 4),
        ({"name": "a", "resources": {"cpu": 3}}, 3),
        ({"name": "a", "resources": {"cpu": "2900m"}}, 2),
        ({"name": "a", "resources": {"cpu": "500m"}}, 1),
        ({"name": "a"}, 1),
    ],
)
def test_slots_are_accelerators_or_whole_cores(pool, slots):
    assert slots_of(Pool.model_validate(pool)) == slots
    group = ray_job(IDENTITY, experiment_spec(pools=[pool]), Settings(), attempt=1)["spec"]["rayClusterSpec"]
    params = group["workerGroupSpecs"][0]["rayStartParams"]
    # Ray's autoscaler takes one quote off each end; KubeRay's shell does as well.
    assert json.loads(params["resources"][1:-1]) == {f"pool-{pool['name']}": slots}


@pytest.mark.parametrize(
    ("text", "number"), [("4", 4), (4, 4), ("500m", 0.5), ("1Gi", 2**30), ("1.5k", 1500), ("1e3", 1000), ("2E", 2e18)]
)
def test_quantities_are_read_as_kubernetes_reads_them(text, number):
    assert parse_quantity(text) == number


@given(st.builds(Resources, cpu=st.none() | st.integers(1, 9), memory=st.none() | st.just("1Gi")))
def test_a_default_never_stands_above_what_was_asked(asked):
    result = filled(asked, Resources(cpu=100, ephemeral_storage="1Gi"))
    assert result == Resources(
        cpu=100 if asked.cpu is None else asked.cpu, memory=asked.memory, ephemeral_storage="1Gi"
    )


@pytest.mark.parametrize(
    ("found", "settings", "expected"),
    [
        ({"pools": [GPU_POOL]}, Settings(), (1, 1, 4, 1)),
        ({"pools": [TPU_POOL]}, Settings(), (0, 0, 4, 2)),
        ({"pools": [GPU_POOL], "queueName": "q"}, QUEUED, (4, 1, 4, 1)),
        (
            {"pools": [GPU_POOL], "queueName": "q"},
            settings_with(kueue={"enabled": True, "elastic": True}),
            (1, 1, 4, 1),
        ),
        ({"pools": [GPU_POOL]}, QUEUED, (1, 1, 4, 1)),
        ({"pools": [GPU_POOL]}, settings_with(kueue={"enabled": True, "defaultQueue": "q"}), (4, 1, 4, 1)),
    ],
)
def test_a_pool_starts_small_with_the_autoscaler_and_whole_without(found, settings, expected):
    job = ray_job(IDENTITY, experiment_spec(**found), settings, attempt=1)
    group = job["spec"]["rayClusterSpec"]["workerGroupSpecs"][0]
    assert tuple(group[key] for key in ("replicas", "minReplicas", "maxReplicas", "numOfHosts")) == expected


def test_kueue_lets_it_start_and_has_no_autoscaler_beside_it():
    job = RAY_JOBS["ray_job_kueue"]
    assert job["metadata"]["labels"]["kueue.x-k8s.io/queue-name"] == "gpus"
    assert job["spec"]["suspend"] is True
    assert job["spec"]["shutdownAfterJobFinishes"] is True
    assert job["spec"]["rayClusterSpec"]["enableInTreeAutoscaling"] is False
    assert "autoscalerOptions" not in job["spec"]["rayClusterSpec"]


def test_an_elastic_job_says_so():
    settings = settings_with(kueue={"enabled": True, "elastic": True})
    job = ray_job(IDENTITY, experiment_spec(queueName="q"), settings, attempt=1)
    assert job["metadata"]["annotations"] == {"kueue.x-k8s.io/elastic-job": "true"}
    assert job["spec"]["rayClusterSpec"]["enableInTreeAutoscaling"] is True


@pytest.mark.parametrize(
    ("storage", "settings", "mode", "is_tied"),
    [
        (None, Settings(), None, False),
        (None, Settings(), AccessMode.READ_WRITE_ONCE, True),
        (None, settings_with(storage={"claim": {"accessMode": "ReadWriteOnce"}}), None, True),
        (None, settings_with(storage={"claim": {"accessMode": "ReadWriteOnce"}}), AccessMode.READ_WRITE_MANY, False),
        ({"claimName": "own"}, settings_with(storage={"claim": {"accessMode": "ReadWriteOnce"}}), None, False),
        ({"claimName": "own"}, Settings(), AccessMode.READ_WRITE_ONCE, True),
        ({"uri": "s3://a"}, settings_with(storage={"claim": {"accessMode": "ReadWriteOnce"}}), None, False),
    ],
)
def test_pods_share_a_node_where_the_claim_is_mounted_on_one_alone(storage, settings, mode, is_tied):
    asked = {"storage": storage} if storage else {}
    job = ray_job(IDENTITY, experiment_spec(**asked), settings, attempt=1, claim_mode=mode)
    for pod in pods_of(job):
        labels, affinity = pod["metadata"]["labels"], pod["spec"].get("affinity")
        assert (affinity is not None) == is_tied
        if affinity:  # each pod must match its own rule, or the first would find no node
            (term,) = affinity["podAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
            assert labels.items() >= term["labelSelector"]["matchLabels"].items()


def test_the_administrator_stands_above_the_user():
    settings = settings_with(
        pods={"nodeSelector": {"zone": "a"}, "env": [{"name": "HOME", "value": "/h"}], "labels": {"team": "x"}}
    )
    job = ray_job(IDENTITY, experiment_spec(head={"nodeSelector": {"zone": "b", "disk": "ssd"}}), settings, attempt=1)
    head = pods_of(job)[0]
    assert head["spec"]["nodeSelector"] == {"zone": "a", "disk": "ssd"}
    assert {"name": "HOME", "value": "/h"} in head["spec"]["containers"][0]["env"]
    assert head["metadata"]["labels"]["team"] == "x"


def test_a_label_of_the_operator_is_not_to_be_had():
    settings = settings_with(pods={"labels": {"scalinglaws.dev/experiment": "another"}})
    head = pods_of(ray_job(IDENTITY, experiment_spec(), settings, attempt=1))[0]
    assert head["metadata"]["labels"]["scalinglaws.dev/experiment"] == IDENTITY.name


@pytest.mark.parametrize(
    ("found", "settings", "account"),
    [
        ({}, Settings(), "bytes-lm-ray"),
        ({}, settings_with(pods={"serviceAccountName": "shared"}), "shared"),
        ({"serviceAccountName": "writer"}, settings_with(pods={"serviceAccountName": "shared"}), "writer"),
    ],
)
def test_an_experiment_has_a_service_account_of_its_own_unless_one_is_named(found, settings, account):
    spec = experiment_spec(**found)
    names = {pod["spec"]["serviceAccountName"] for pod in pods_of(ray_job(IDENTITY, spec, settings, attempt=1))}
    own = service_account(IDENTITY, spec.execution, settings)
    assert names == {account}
    assert (own is not None and own["metadata"]["name"] == account) == (account == "bytes-lm-ray")


def test_a_command_survives_the_shell():
    job = RAY_JOBS["ray_job_s3"]
    assert "--storage 's3://results/team a'" in job["spec"]["entrypoint"]


def test_a_replay_has_no_workers_and_no_autoscaler():
    cluster = replay_job(IDENTITY, experiment_spec(pools=[GPU_POOL]), Settings(), attempt=2)["spec"]["rayClusterSpec"]
    assert (cluster["workerGroupSpecs"], cluster["enableInTreeAutoscaling"]) == ([], False)


SMALL_POOL = {"name": "cpu", "resources": {"cpu": 4}, "maxNodes": 1}


@pytest.mark.parametrize(
    ("compute", "execution", "memory"),
    [
        ([{"workers": 1}], {"pools": [SMALL_POOL]}, "4Gi"),
        ([{"workers": 2}], {"pools": [SMALL_POOL]}, "6144Mi"),
        ([{"workers": 2}, {"workers": 4}], {"pools": [SMALL_POOL]}, "6144Mi"),
        ([{"workers": 4}, {"workers": 1}], {"pools": [SMALL_POOL]}, "5120Mi"),
        ([{"workers": 8}], {"pools": [SMALL_POOL]}, "4Gi"),
        ([{"workers": 2}], {"pools": [SMALL_POOL], "parallelTrials": 1}, "5120Mi"),
        ([{"pool": "a100", "workers": 8}], {"pools": [SMALL_POOL, GPU_POOL]}, "8192Mi"),
        ([{"workers": 2}, {"pool": "a100", "workers": 8}], {"pools": [SMALL_POOL, GPU_POOL]}, "10240Mi"),
        ([{"workers": 2}], {"pools": [{**GPU_POOL, "maxNodes": 64}]}, "20480Mi"),
        ([{"workers": 2}], {"pools": [SMALL_POOL], "head": {"resources": {"memory": "3Gi"}}}, "3Gi"),
    ],
)
def test_the_head_has_room_for_as_many_gangs_as_train_at_a_time(compute, execution, memory):
    job = ray_job(IDENTITY, experiment_spec(compute=compute, **execution), Settings(), attempt=1)
    resources = containers_of(job)[0]["resources"]
    assert resources["requests"]["memory"] == resources["limits"]["memory"] == memory


def test_the_longest_name_fits():
    longest = Identity(namespace="a", name="a" * 42, uid=IDENTITY.uid, generation=1)
    assert len(ray_job(longest, experiment_spec(), Settings(), attempt=999)["metadata"]["name"]) == 47


def test_a_driver_is_reached_by_name_or_through_the_api_server():
    by_name = driver_address("team-a", "bytes-lm-a1-x7k2p", Settings().driver)
    assert by_name.url == "http://bytes-lm-a1-x7k2p-head-svc.team-a.svc.cluster.local:8470"
    proxied = driver_address("team-a", "bytes-lm-a1-x7k2p", settings_with(driver={"reach": "ApiProxy"}).driver)
    assert proxied.url == "/api/v1/namespaces/team-a/services/bytes-lm-a1-x7k2p-head-svc:driver/proxy"
    assert (by_name.is_proxied, proxied.is_proxied) == (False, True)


def test_the_fence_lets_in_what_the_experiment_needs_and_out_to_no_more():
    every, head = network_policies(IDENTITY, Settings())
    ports = [{port["port"] for port in rule.get("ports", [])} for rule in head["spec"]["ingress"]]
    assert ports == [{8265}, {8470}, {8080, 44217, 44227, 8470}]
    assert all(rule["from"] for rule in head["spec"]["ingress"])
    out = [(bool(rule.get("to")), {port["port"] for port in rule.get("ports", [])}) for rule in every["spec"]["egress"]]
    assert out == [(True, set()), (False, {53}), (False, {443})]
    assert head["spec"]["podSelector"]["matchLabels"]["ray.io/node-type"] == "head"


@pytest.mark.parametrize("name", ["kuberay-operator", "kuberay"], ids=["chart", "kustomize"])
def test_kuberay_comes_through_the_fence_however_it_was_installed(name):
    labels = {"app.kubernetes.io/name": name, "app.kubernetes.io/component": "kuberay-operator"}
    _, head = network_policies(IDENTITY, Settings())
    (peer,) = head["spec"]["ingress"][0]["from"]
    assert labels.items() >= peer["podSelector"]["matchLabels"].items()


def test_the_fence_can_be_changed_and_switched_off():
    assert network_policies(IDENTITY, settings_with(network={"enabled": False})) == ()
    minio = {"to": [{"ipBlock": {"cidr": "10.0.0.9/32"}}], "ports": [{"protocol": "TCP", "port": 9000}]}
    settings = settings_with(network={"storagePorts": [], "egress": [minio]}, driver={"reach": "ApiProxy"})
    every, head = network_policies(IDENTITY, settings)
    assert minio in every["spec"]["egress"]
    assert "443" not in json.dumps(every["spec"]["egress"])
    assert "from" not in head["spec"]["ingress"][1], "the API server's own address is on no pod"


@pytest.mark.parametrize("name", CASES)
def test_manifests_are_plain_yaml(name):
    read = list(YAML(typ="safe", pure=True).load_all((GOLDEN / f"{name}.yaml").read_text()))
    assert json.loads(json.dumps(CASES[name])) == read
