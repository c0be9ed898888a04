import pytest
from desired_cases import ADMINISTRATOR, GPU_POOL, QUEUED, TPU_POOL, experiment_spec, settings_with

from scaling_api.v1alpha1.experiment import ExperimentSpec
from scaling_api.v1alpha1.sweep import ComputeLevel
from scaling_operator.desired.refusals import refusals
from scaling_operator.settings import Settings

NONE = settings_with(allowed={"serviceAccounts": [], "priorityClasses": [], "images": [], "storage": False})
SOME = settings_with(allowed={"serviceAccounts": ["writer-*"], "images": ["registry.example/team/*"]})


def told(spec: ExperimentSpec, settings: Settings) -> list[str]:
    return [str(problem) for problem in refusals(spec, settings, namespace="team-a")]


@pytest.mark.parametrize(
    "execution",
    [
        {},
        {"pools": [GPU_POOL, TPU_POOL]},
        {"priorityClassName": "research", "image": "own:1"},
        {"storage": {"uri": "gs://bucket/prefix"}},
        {"storage": {"claimName": "own"}},
        {"env": [{"name": "HF_TOKEN", "value": "a"}]},
        {"head": {"nodeSelector": {"topology.kubernetes.io/zone": "eu-1", "empty": ""}}},
    ],
)
def test_what_is_usual_is_given(execution):
    assert told(experiment_spec(**execution), Settings()) == []


MOUNT = {"pods": {"volumeMounts": [{"name": "texts", "mountPath": "/texts"}]}}
BUCKET = {"storage": {"uri": "s3://bucket/a"}}


def corpus_at(uri, **execution):
    given = experiment_spec(**execution)
    corpus = given.task.language.corpus.model_copy(update={"python": None, "uri": uri})
    language = given.task.language.model_copy(update={"corpus": corpus})
    return given.model_copy(update={"task": given.task.model_copy(update={"language": language})})


@pytest.mark.parametrize(
    ("uri", "settings", "execution"),
    [
        ("s3://texts/mine", {}, {}),
        ("/results/texts", {}, {}),
        ("file:///results/texts/a.txt", {}, {}),
        ("/texts", MOUNT, BUCKET),
        ("/texts/a.txt", MOUNT, BUCKET),
        ("/in/the/image", {}, {"image": "own"}),
    ],
)
def test_a_corpus_that_pods_may_see_is_read(uri, settings, execution):
    assert told(corpus_at(uri, **execution), settings_with(**settings)) == []


@pytest.mark.parametrize(
    ("uri", "settings", "execution"),
    [
        ("/nonexistent/x", {}, {}),
        ("file:///nonexistent/x", {}, {}),
        ("texts/a.txt", MOUNT, {}),
        ("/texts-of-others", MOUNT, {}),
        ("/results/../etc", {}, {}),
        ("/results/texts", {}, BUCKET),
    ],
)
def test_a_corpus_on_the_users_machine_is_refused(uri, settings, execution):
    (problem,) = told(corpus_at(uri, **execution), settings_with(**settings))
    assert problem.startswith("spec.task.language.corpus.uri: pods do not see files of your machine")
    assert problem.endswith(f"found {uri}")


@pytest.mark.parametrize(
    ("execution", "settings", "says"),
    [
        ({"serviceAccountName": "admin"}, Settings(), "serviceAccountName: the administrator allows none, found admin"),
        ({"serviceAccountName": "admin"}, SOME, "serviceAccountName: the administrator allows writer-*, found admin"),
        ({"image": "registry.example/teams/a"}, SOME, "image: the administrator allows registry.example/team/*, found"),
        ({"image": "a"}, NONE, "image: the administrator allows none, found a"),
        ({"priorityClassName": "high"}, NONE, "priorityClassName: the administrator allows none, found high"),
        ({"storage": {"claimName": "own"}}, NONE, "storage: the administrator allows the default storage alone"),
        ({"storage": {"uri": "file:///tmp/a"}}, Settings(), "storage.uri: a pod's own files are lost with it"),
        ({"storage": {"uri": "/tmp/a"}}, Settings(), "storage.uri: a pod's own files are lost with it"),
        ({"queueName": "q"}, Settings(), "queueName: the administrator has not enabled Kueue"),
        (
            {"env": [{"name": "RAY_ADDRESS", "value": "a"}]},
            Settings(),
            "env[0].name: RAY_ADDRESS is set by the operator",
        ),
        ({"env": [{"name": "HOME", "value": "a"}]}, Settings(), "env[0].name: HOME is set by the operator"),
        (
            {"env": [{"name": "A", "value": "a"}, {"name": "PATH", "value": "a"}]},
            settings_with(**ADMINISTRATOR),
            "env[1].name: PATH is set by the administrator",
        ),
        (
            {"pools": [GPU_POOL]},
            settings_with(caps={"namespaces": {"team-a": {"accelerators": 31}}}),
            "pools: the administrator allows 31 accelerators in namespace team-a, found 32 at maxNodes",
        ),
        ({"pools": [{**TPU_POOL, "maxNodes": 3}]}, Settings(), "pools[0].maxNodes: slices have 2 hosts each"),
        (
            {"pools": [{**GPU_POOL, "accelerator": {"topology": "2x4"}}]},
            Settings(),
            "pools[0].accelerator.topology: is for google.com/tpu alone, found nvidia.com/gpu",
        ),
        (
            {"pools": [{**GPU_POOL, "accelerator": {"resource": "gpu"}}]},
            Settings(),
            "pools[0].accelerator.resource: must be the name of an extended resource, such as nvidia.com/gpu",
        ),
        (
            {"pools": [{"name": "a", "nodeSelector": {"a b": "c"}}]},
            Settings(),
            "pools[0].nodeSelector: this is no label",
        ),
        ({"head": {"nodeSelector": {"a": "b c"}}}, Settings(), "head.nodeSelector: this is no label"),
        (
            {"pools": [{"name": "a", "tolerations": [{"key": "a b", "operator": "Exists"}]}]},
            Settings(),
            "pools[0].tolerations[0].key: this is no taint's key, found a b",
        ),
        (
            {"pools": [{"name": "a", "resources": {"memory": 0}}]},
            Settings(),
            "pools[0].resources.memory: must be above 0, found 0",
        ),
    ],
)
def test_what_is_not_allowed_is_said_in_one_sentence(execution, settings, says):
    (problem,) = told(experiment_spec(**execution), settings)
    assert problem.startswith(f"spec.execution.{says}")


def with_workers(workers: int, **execution: object) -> ExperimentSpec:
    spec = experiment_spec(**execution)
    return spec.model_copy(
        update={"sweep": spec.sweep.model_copy(update={"compute": (ComputeLevel(workers=workers),)})}
    )


def test_a_trial_that_could_never_start_is_refused():
    assert told(with_workers(32, pools=[GPU_POOL]), Settings()) == []
    assert told(with_workers(33, pools=[GPU_POOL]), Settings()) == [
        "spec.sweep.compute[0].workers: pool a100 runs at most 32 workers (4 nodes of 8), found 33"
    ]
    assert "pool cpu runs at most 8 workers" in told(with_workers(9), Settings())[0]


def test_a_queue_is_given_where_kueue_is():
    assert told(experiment_spec(queueName="q"), QUEUED) == []


def test_everything_is_said_at_once():
    spec = experiment_spec(image="a", priorityClassName="b", serviceAccountName="c", storage={"claimName": "d"})
    assert len(told(spec, NONE)) == 4
