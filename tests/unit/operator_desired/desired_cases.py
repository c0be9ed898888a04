"""Experiments and settings, each with the objects that it leads to: what the golden files hold."""

from typing import Any

from scaling_api.v1alpha1 import ScalingExperiment
from scaling_api.v1alpha1.experiment import ExperimentSpec
from scaling_api.v1alpha1.trial import TrialRecord
from scaling_laws.design import plan_trials
from scaling_operator.desired.claim import shared_claim
from scaling_operator.desired.manifest import Manifest
from scaling_operator.desired.network_policy import network_policies
from scaling_operator.desired.ray_job import ray_job, replay_job
from scaling_operator.desired.secret import driver_secret
from scaling_operator.desired.service_account import service_account
from scaling_operator.desired.trial import scaling_trial
from scaling_operator.observed import Identity
from scaling_operator.settings import AccessMode, Settings

IDENTITY = Identity(namespace="team-a", name="bytes-lm", uid="0b7c3c5e-8a44-4d5e-9f57-6f1f0a3b9c11", generation=3)

GPU_POOL = {
    "name": "a100",
    "accelerator": {"resource": "nvidia.com/gpu", "perNode": 8},
    "resources": {"cpu": 48, "memory": "320Gi", "ephemeralStorage": "200Gi", "sharedMemory": "32Gi"},
    "nodeSelector": {"cloud.google.com/gke-accelerator": "nvidia-tesla-a100"},
    "tolerations": [{"key": "nvidia.com/gpu", "operator": "Exists"}],
    "minNodes": 1,
    "maxNodes": 4,
    "hourlyPrice": 3.67,
}
TPU_POOL = {
    "name": "v5e",
    "accelerator": {"resource": "google.com/tpu", "perNode": 4, "numOfHosts": 2, "topology": "2x4"},
    "resources": {"cpu": 24, "memory": "96Gi"},
    "nodeSelector": {"cloud.google.com/gke-tpu-accelerator": "tpu-v5-lite-podslice"},
    "maxNodes": 8,
}
ADMINISTRATOR = {
    "trainer": {"pullSecrets": ["registry"], "python": "/opt/scaling/bin/python"},
    "pods": {
        "labels": {"cost-centre": "research"},
        "annotations": {"sidecar.istio.io/inject": "false"},
        "nodeSelector": {"kubernetes.io/arch": "amd64"},
        "tolerations": [{"key": "research", "value": "true", "effect": "NoSchedule"}],
        "runtimeClassName": "nvidia",
        "volumes": [{"name": "venv", "hostPath": {"path": "/opt/venv", "type": "Directory"}}],
        "volumeMounts": [
            {"name": "venv", "mountPath": "/opt/venv", "readOnly": True},
            {"name": "venv", "mountPath": "/scratch", "subPath": "scratch"},
        ],
        "env": [{"name": "PATH", "value": "/opt/venv/bin:/usr/bin:/bin"}],
        "runAsUser": 0,
        "runAsGroup": 0,
        "fsGroup": 2000,
    },
}


def experiment_spec(*, compute: Any = None, **execution: Any) -> ExperimentSpec:
    found = {
        "apiVersion": "scalinglaws.dev/v1alpha1",
        "kind": "ScalingExperiment",
        "metadata": {"name": IDENTITY.name},
        "spec": {
            "task": {"language": {"corpus": {"python": {}}, "contextLength": 64}},
            "sweep": {
                "model": {"parameters": ["30k"]},
                "data": {"tokens": ["0.5M"]},
                **({"compute": compute} if compute else {}),
            },
            "execution": execution,
        },
    }
    return ScalingExperiment.model_validate(found).spec


def settings_with(**found: Any) -> Settings:
    return Settings.model_validate(found)


def first_record() -> TrialRecord:
    trial = plan_trials(experiment_spec(), corpus_fingerprint="0" * 64).trials[-1]
    status = {"state": "Succeeded", "attempts": 2, "metrics": {"loss": 1.25, "documents": 7}}
    return TrialRecord.model_validate({"spec": trial.model_dump(mode="json"), "status": status})


S3 = {"storage": {"uri": "s3://results/team a", "credentialsSecret": "s3-results"}}
QUEUED = settings_with(kueue={"enabled": True})


def cases() -> dict[str, list[Manifest]]:
    """Every golden file's objects, by its name."""
    plain = Settings()
    env = [{"name": "HF_TOKEN", "secretRef": {"name": "hugging-face", "key": "token"}}, {"name": "A", "value": "b c"}]
    gpu = experiment_spec(
        pools=[GPU_POOL, {"name": "cpu", "resources": {"cpu": "2500m"}}],
        env=env,
        priorityClassName="research",
        head={"resources": {"memory": "16Gi"}, "nodeSelector": {"pool": "on-demand"}},
    )
    account = service_account(IDENTITY, gpu.execution, plain)
    assert account is not None
    once = {"attempt": 2}
    return {
        "ray_job_default": [ray_job(IDENTITY, experiment_spec(), plain, attempt=1)],
        "ray_job_gpu": [ray_job(IDENTITY, gpu, plain, deadline_s=86400, **once)],
        "ray_job_tpu": [ray_job(IDENTITY, experiment_spec(pools=[TPU_POOL]), plain, **once)],
        "ray_job_kueue": [ray_job(IDENTITY, experiment_spec(pools=[GPU_POOL], queueName="gpus"), QUEUED, **once)],
        "ray_job_one_node": [ray_job(IDENTITY, gpu, plain, claim_mode=AccessMode.READ_WRITE_ONCE, **once)],
        "ray_job_s3": [
            ray_job(IDENTITY, experiment_spec(**S3, serviceAccountName="writer", image="own:1"), plain, **once)
        ],
        "ray_job_administrator": [ray_job(IDENTITY, gpu, settings_with(**ADMINISTRATOR), **once)],
        "ray_job_replay": [replay_job(IDENTITY, gpu, plain, attempt=3)],
        "secret": [driver_secret(IDENTITY, "not-a-secret")],
        "service_account": [account],
        "claim": [
            shared_claim("team-a", plain),
            shared_claim(
                "team-a",
                settings_with(storage={"claim": {"storageClassName": "fast", "accessMode": "ReadWriteOnce"}}),
            ),
        ],
        "network_policies": list(network_policies(IDENTITY, plain)),
        "trial": [scaling_trial(IDENTITY, first_record())],
    }
