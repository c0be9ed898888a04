"""The chart on a real API server: installed, changed, removed; what its accounts may do and what they may not."""

import json
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from chart_paths import CHART, REPOSITORY

from conftest import Run
from throwaway.api_server import ApiServer


@dataclass(frozen=True)
class Release:
    """An installed chart."""

    server: ApiServer
    helm: Run
    name: str
    namespace: str

    def run(self, verb: str, *words: str) -> str:
        done = self.helm(verb, self.name, "--namespace", self.namespace, *words, env=dict(self.server.env))
        assert done.returncode == 0, done.stderr
        return done.stdout

    def get(self, *words: str) -> Any:
        return json.loads(self.server.must("-n", self.namespace, "get", *words, "-o", "json"))

    def may(self, user: str, verb: str, what: str, *, namespace: str) -> bool:
        """Ask the API server; `what` is resource.group/subresource, as in rayjobs.ray.io/status, or resource:name."""
        path, _, name = what.partition(":")
        kind, _, subresource = path.partition("/")
        resource, _, group = kind.partition(".")
        asked = {"verb": verb, "resource": resource, "group": group, "subresource": subresource, "name": name}
        review = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SubjectAccessReview",
            "spec": {"user": user, "resourceAttributes": {**asked, "namespace": namespace}},
        }
        answer = self.server.must("create", "-f", "-", "-o", "json", document=json.dumps(review))
        return bool(json.loads(answer)["status"]["allowed"])


@pytest.fixture(scope="module")
def release(api_server: ApiServer, helm: Run) -> Iterator[Release]:
    if api_server.level == "api":
        pytest.skip("there are no controllers: the cluster is of level api")
    name = f"chart-{uuid.uuid4().hex[:6]}"
    api_server.must("create", "namespace", name)
    # What the strictest clusters ask of every pod.
    api_server.must("label", "namespace", name, "pod-security.kubernetes.io/enforce=restricted")
    found = Release(api_server, helm, name, name)
    found.run("install", str(CHART), "--set", "settings.cpuFallback=true")
    yield found
    helm("uninstall", name, "--namespace", name, env=dict(api_server.env))
    api_server.must("delete", "namespace", name, "--wait=false")


def account(release: Release) -> str:
    return f"system:serviceaccount:{release.namespace}:{release.name}-scaling-operator"


def test_the_notes_say_what_is_missing_and_what_is_for_tests(release):
    notes = json.loads(release.run("status", "-o", "json"))["info"]["notes"]
    assert "KubeRay is not installed here" in notes or "ray.io" in release.server.must("api-versions")
    assert "cpuFallback is on" in notes


def test_the_operators_pod_passes_the_restricted_profile(release):
    release.server.must(
        "-n", release.namespace, "wait", "--for=create", "pod", "-l", "app.kubernetes.io/name=scaling-operator",
        "--timeout=30s",
    )  # fmt: skip
    (pod,) = release.get("pods")["items"]
    assert pod["spec"]["serviceAccountName"] == f"{release.name}-scaling-operator"


ALLOWED = [
    ("list", "scalingexperiments.scalinglaws.dev"),
    ("patch", "scalingexperiments.scalinglaws.dev/status"),
    ("delete", "scalingexperiments.scalinglaws.dev"),
    ("create", "scalingtrials.scalinglaws.dev"),
    ("patch", "scalingtrials.scalinglaws.dev"),
    ("create", "rayjobs.ray.io"),
    ("delete", "rayjobs.ray.io"),
    ("watch", "rayclusters.ray.io"),
    ("watch", "pods"),
    ("list", "events"),
    ("create", "events.events.k8s.io"),
    ("create", "persistentvolumeclaims"),
    ("get", "secrets"),
    ("create", "secrets"),
    ("patch", "serviceaccounts"),
    ("patch", "networkpolicies.networking.k8s.io"),
]
FORBIDDEN = [
    ("list", "secrets"),
    ("update", "scalingexperiments.scalinglaws.dev"),
    ("update", "rayjobs.ray.io"),
    ("patch", "rayjobs.ray.io"),
    ("create", "pods"),
    ("create", "pods/exec"),
    ("delete", "pods"),
    ("delete", "persistentvolumeclaims"),
    ("create", "roles.rbac.authorization.k8s.io"),
    ("create", "clusterrolebindings.rbac.authorization.k8s.io"),
    ("get", "services/proxy"),
    ("impersonate", "users"),
    ("delete", "namespaces"),
]


@pytest.mark.parametrize(("verb", "resource"), ALLOWED)
def test_the_operator_may(release, verb, resource):
    assert release.may(account(release), verb, resource, namespace="default")


@pytest.mark.parametrize(("verb", "resource"), FORBIDDEN)
def test_the_operator_may_not(release, verb, resource):
    assert not release.may(account(release), verb, resource, namespace="default")


def test_the_operator_holds_one_lease_alone(release):
    lease, user = f"leases.coordination.k8s.io:{release.name}-scaling-operator", account(release)
    assert release.may(user, "update", lease, namespace=release.namespace)
    assert not release.may(user, "update", "leases.coordination.k8s.io:another", namespace=release.namespace)
    assert not release.may(user, "get", lease, namespace="default")


@pytest.mark.parametrize("role", ["view", "edit", "admin"])
def test_users_may_ask_questions_and_not_make_up_answers(release, role):
    server, user = release.server, f"{role}-{release.name}"
    binding = ("rolebinding", user, f"--clusterrole={role}", f"--user={user}")
    server.must("-n", release.namespace, "create", *binding)

    def may(verb: str, what: str) -> bool:
        return release.may(user, verb, what, namespace=release.namespace)

    # The roles are put together by a controller, a moment after the chart's came.
    assert wait_for(lambda: may("list", "scalingtrials.scalinglaws.dev"))
    assert may("create", "scalingexperiments.scalinglaws.dev") == (role != "view")
    for verb in ("create", "patch", "update", "delete"):
        assert not may(verb, "scalingtrials.scalinglaws.dev")
        assert not may(verb, "scalingexperiments.scalinglaws.dev/status")


def wait_for(holds: Callable[[], bool]) -> bool:
    end = time.monotonic() + 20
    while not (done := holds()) and time.monotonic() < end:
        time.sleep(0.2)
    return done


def test_an_upgrade_changes_what_changed_and_nothing_else(release):
    first = release.get("deployment", f"{release.name}-scaling-operator")
    release.run("upgrade", str(CHART), "--reuse-values")
    same = release.get("deployment", f"{release.name}-scaling-operator")
    assert same["metadata"]["generation"] == first["metadata"]["generation"]
    release.run("upgrade", str(CHART), "--reuse-values", "--set", "settings.logLevel=DEBUG")
    other = release.get("deployment", f"{release.name}-scaling-operator")
    assert other["metadata"]["generation"] == first["metadata"]["generation"] + 1
    config = release.get("configmap", f"{release.name}-scaling-operator")["data"]["settings.yaml"]
    assert "logLevel: DEBUG" in config


def test_uninstalling_keeps_the_questions_and_the_answers(api_server, helm, namespace):
    if api_server.level == "api":
        pytest.skip("there are no controllers: the cluster is of level api")
    removed = Release(api_server, helm, f"gone-{namespace[-6:]}", namespace)
    removed.run("install", str(CHART), "--set", "settings.namespaces={" + namespace + "}")
    api_server.must("-n", namespace, "apply", "-f", str(REPOSITORY / "examples/quickstart.yaml"))
    removed.run("uninstall")
    kept = removed.get("scalingexperiments")["items"]
    assert [item["metadata"]["name"] for item in kept] == ["quickstart"]
    kinds = "deployments,services,roles,rolebindings,configmaps,serviceaccounts"
    words = ("-n", namespace, "get", kinds, "-l", f"app.kubernetes.io/instance={removed.name}", "-o", "name")
    assert api_server.must(*words) == ""
