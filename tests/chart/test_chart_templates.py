import hashlib
import json
import re
import tarfile
from pathlib import Path
from typing import Any

import pytest
from chart_paths import CHART, REPOSITORY
from ruamel.yaml import YAML
from values_schema import values_schema

from scaling_operator.settings import Settings, load_settings


def read_all(text: str) -> list[dict[str, Any]]:
    return [document for document in YAML(typ="safe", pure=True).load_all(text) if document]


def rendered(helm, *words: str) -> list[dict[str, Any]]:
    done = helm("template", "r", str(CHART), "--namespace", "scaling-system", *words)
    assert done.returncode == 0, done.stderr
    return read_all(done.stdout)


def only(documents: list[dict[str, Any]], kind: str) -> dict[str, Any]:
    (found,) = [document for document in documents if document["kind"] == kind]
    return found


def settings_of(documents: list[dict[str, Any]], folder: Path) -> Settings:
    file = folder / "settings.yaml"
    file.write_text(only(documents, "ConfigMap")["data"]["settings.yaml"])
    return load_settings(file)


def rules_of(document: dict[str, Any]) -> set[tuple[str, str, str]]:
    return {
        (group, resource, verb)
        for rule in document["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }


def test_lint_is_clean(helm):
    done = helm("lint", "--strict", str(CHART))
    assert done.returncode == 0, done.stdout


def test_the_schema_is_as_the_settings_are(request):
    file = CHART / "values.schema.json"
    if request.config.getoption("--update-golden"):
        file.write_text(values_schema())
    assert file.read_text() == values_schema(), "`pytest --update-golden` writes it"


def test_the_chart_holds_the_generated_crds():
    for file in (REPOSITORY / "crds").glob("*.yaml"):
        assert (CHART / "crds" / file.name).read_text() == file.read_text()


def test_a_package_holds_the_crds(helm, tmp_path):
    assert helm("package", str(CHART), "--destination", str(tmp_path)).returncode == 0
    with tarfile.open(next(tmp_path.glob("*.tgz"))) as package:
        for file in (REPOSITORY / "crds").glob("*.yaml"):
            packed = package.extractfile(f"scaling-operator/crds/{file.name}")
            assert packed is not None
            assert packed.read() == file.read_bytes()


def fields(model: Any, path: str = "") -> set[str]:
    """Every settings field that has no fields itself, by its name in the file."""
    found = set()
    for name, field in model.model_fields.items():
        here, kind = f"{path}{field.alias or name}", field.annotation
        inner = getattr(kind, "model_fields", None)
        is_of_the_api = getattr(kind, "__module__", "").startswith("scaling_api")
        found |= fields(kind, f"{here}.") if inner and not is_of_the_api else {here}
    return found


def test_the_values_name_every_setting():
    values = read_all((CHART / "values.yaml").read_text())[0]["settings"]

    def has(path: str) -> bool:
        node: Any = values
        for part in path.split("."):
            if not isinstance(node, dict) or part not in node:
                return False
            node = node[part]
        return True

    assert [path for path in sorted(fields(Settings)) if not has(path)] == []


def test_the_values_are_the_defaults(helm, tmp_path):
    found = settings_of(rendered(helm), tmp_path)
    expected = Settings()
    release = {
        "lease": found.lease,
        "network": found.network.model_copy(update={"operator": expected.network.operator}),
    }
    assert found.model_copy(update=release) == expected.model_copy(update={"lease": found.lease})
    assert (found.lease.name, found.lease.namespace) == ("r-scaling-operator", "scaling-system")


def test_the_fence_lets_in_this_release_alone(helm, tmp_path):
    documents = rendered(helm)
    (peer,) = settings_of(documents, tmp_path).network.operator
    pods = only(documents, "Deployment")["spec"]["template"]["metadata"]["labels"]
    assert pods.items() >= peer["podSelector"]["matchLabels"].items()
    assert peer["namespaceSelector"]["matchLabels"] == {"kubernetes.io/metadata.name": "scaling-system"}


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--set", "settings.trainer.imag=x"], "imag"),
        (["--set", "imag.tag=x"], "imag"),
        (["--set", "settings.resyncSeconds=-1"], "resyncSeconds"),
        (["--set", "settings.driver.reach=Guess"], "reach"),
        (["--set", "image.pullPolicy=Maybe"], "pullPolicy"),
        (["--set", "settings.ports.metrics=70000"], "metrics"),
    ],
)
def test_a_wrong_value_is_refused_before_anything_is_installed(helm, words, says):
    done = helm("template", "r", str(CHART), *words)
    assert done.returncode != 0
    assert says in done.stderr


def test_the_operator_runs_restricted_and_is_restarted_by_a_change_of_settings(helm):
    first, other = (only(rendered(helm, *words), "Deployment") for words in ((), ("--set", "settings.logLevel=DEBUG")))
    assert first["spec"]["strategy"] == {"type": "Recreate"}
    template = first["spec"]["template"]
    assert template["spec"]["securityContext"]["runAsNonRoot"] is True
    container = template["spec"]["containers"][0]
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    variables = {variable["name"] for variable in container["env"]}
    assert variables >= {"SCALING_SETTINGS", "POD_NAME", "POD_NAMESPACE"}
    key = "checksum/settings"
    digests = [found["spec"]["template"]["metadata"]["annotations"][key] for found in (first, other)]
    assert len(set(digests)) == 2
    assert all(re.fullmatch("[0-9a-f]{64}", digest) for digest in digests)
    assert hashlib.sha256(b"").hexdigest() not in digests


def test_everything_that_can_be_added_is_added(helm, tmp_path):
    extra = {
        "podLabels": {"a": "b"},
        "podAnnotations": {"c": "d"},
        "env": [{"name": "E", "value": "1"}],
        "volumes": [{"name": "v", "emptyDir": {}}],
        "volumeMounts": [{"name": "v", "mountPath": "/v"}],
        "nodeSelector": {"n": "o"},
        "tolerations": [{"operator": "Exists"}],
        "imagePullSecrets": [{"name": "s"}],
        "priorityClassName": "high",
        "image": {"digest": "sha256:abc"},
    }
    (tmp_path / "values.yaml").write_text(json.dumps(extra))
    template = only(rendered(helm, "--values", str(tmp_path / "values.yaml")), "Deployment")["spec"]["template"]
    spec, container = template["spec"], template["spec"]["containers"][0]
    assert template["metadata"]["labels"]["a"] == "b"
    assert template["metadata"]["annotations"]["c"] == "d"
    assert extra["env"][0] in container["env"]
    assert extra["volumes"][0] in spec["volumes"]
    assert extra["volumeMounts"][0] in container["volumeMounts"]
    for key in ("nodeSelector", "tolerations", "imagePullSecrets", "priorityClassName"):
        assert spec[key] == extra[key]
    assert container["image"] == "scaling-operator@sha256:abc"


def test_rights_end_with_the_namespaces_that_are_watched(helm):
    documents = rendered(helm, "--set", "settings.namespaces={team-a,team-b}", "--set", "rbac.userRoles=false")
    assert not [document for document in documents if document["kind"].startswith("ClusterRole")]
    roles = {document["metadata"]["namespace"] for document in documents if document["kind"] == "Role"}
    assert roles == {"team-a", "team-b", "scaling-system"}


def test_rights_follow_the_settings(helm):
    def rules(*words: str) -> set[tuple[str, str, str]]:
        documents = rendered(helm, "--set", "rbac.userRoles=false", *words)
        return rules_of(only(documents, "ClusterRole"))

    plain = rules()
    assert rules("--set", "settings.kueue.enabled=true") - plain == {
        ("kueue.x-k8s.io", "workloads", verb) for verb in ("get", "list", "watch")
    }
    assert rules("--set", "settings.driver.reach=ApiProxy") - plain == {
        ("", "services/proxy", verb) for verb in ("get", "update")
    }
    assert not [rule for rule in plain if "*" in rule]
    assert not [rule for rule in plain if rule[1] == "secrets" and rule[2] in {"list", "watch"}]


def test_monitors_are_there_when_asked_for(helm):
    words = ("--set", "metrics.serviceMonitor.enabled=true", "--set", "metrics.podMonitor.enabled=true")
    documents = rendered(helm, *words)
    assert only(documents, "ServiceMonitor")["spec"]["endpoints"] == [{"port": "metrics", "interval": "30s"}]
    ports = [endpoint["port"] for endpoint in only(documents, "PodMonitor")["spec"]["podMetricsEndpoints"]]
    assert ports == ["metrics", "as-metrics", "dash-metrics", "driver"]
    assert not [document for document in rendered(helm) if "Monitor" in document["kind"]]
