import subprocess
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import quickstart_sweep as sweep
import written
from kubelet import Logs, serving_logs
from kubernetes.client import CoreV1Api
from shells import Shell
from written import Writer

from throwaway.api_server import ApiServer

HEAD = "quickstart-a1-k2x9p-head-aaaaa"
NEXT = "quickstart-a1-k2x9p-head-bbbbb"


@dataclass
class Node:
    """A node whose kubelet serves logs, and pods on it."""

    name: str
    logs: Logs
    operator: Writer
    owner: dict[str, Any]

    def pod(self, name: str, *, role: str = "head", phase: str = "Running") -> None:
        manifest = written.pod_manifest(self.owner, name, role=role, pool="" if role == "head" else "a100")
        manifest["spec"]["nodeName"] = self.name
        manifest["spec"]["tolerations"] = [{"operator": "Exists"}]
        container = manifest["spec"]["containers"][0]["name"]
        state = (
            {"running": {}} if phase == "Running" else {"waiting": {"reason": "ImagePullBackOff", "message": "gone"}}
        )
        ready = written.container_status(container, state, is_ready=phase == "Running")
        self.operator.pod(manifest, written.pod_status(phase, [ready]))


@pytest.fixture
def node(operator: Writer, api_server: ApiServer) -> Iterator[Node]:
    pki = api_server.kubeconfig.parent / "pki"
    if not (pki / "server.key").exists():
        pytest.skip("only a throwaway cluster lets a test stand in for a kubelet")
    core = CoreV1Api(operator.client)
    name = f"node-{uuid.uuid4().hex[:8]}"
    with serving_logs(pki) as (port, logs):
        core.create_node({"metadata": {"name": name}})
        status = {"addresses": [{"type": "InternalIP", "address": "127.0.0.1"}],
                  "daemonEndpoints": {"kubeletEndpoint": {"Port": port}}}  # fmt: skip
        core.patch_node_status(name, {"status": status})
        owner = operator.experiment(sweep.manifest(), sweep.halfway().status)
        yield Node(name, logs, operator, owner)
        logs.ended |= set(logs.lines)
        logs.cut.set()
        core.delete_node(name)


def test_the_log_of_the_head(node: Node, shell: Shell) -> None:
    node.pod(HEAD)
    node.logs.write(HEAD, "listening", "trial 6559a42e4d2054eb begins", "", "trial a1dbb084469aa58f begins")
    assert shell("logs", "quickstart").stdout.splitlines() == [
        "listening", "trial 6559a42e4d2054eb begins", "", "trial a1dbb084469aa58f begins",
    ]  # fmt: skip
    assert shell("logs", "quickstart", "--trial", "6559a").stdout == "trial 6559a42e4d2054eb begins\n"
    assert shell("logs", "quickstart", "--tail", 1).stdout == "trial a1dbb084469aa58f begins\n"


def test_the_log_of_a_worker(node: Node, shell: Shell) -> None:
    node.pod(HEAD)
    node.pod("a100-worker-1", role="worker")
    node.logs.write("a100-worker-1", "I work")
    assert shell("logs", "quickstart", "--pod", "a100-worker-1").stdout == "I work\n"
    assert (
        f"quickstart has no pod x; it has: {HEAD}, a100-worker-1." in shell("logs", "quickstart", "--pod", "x").stderr
    )


def test_what_all_pods_say_about_a_trial(node: Node, shell: Shell) -> None:
    node.pod(HEAD)
    node.logs.write(HEAD, "listening", "trial 6559a42e4d2054eb, attempt 1: lost")
    for number in (1, 2):
        node.pod(f"a100-worker-{number}", role="worker")
    node.pod("a100-worker-3", role="worker", phase="Pending")
    node.logs.write(
        "a100-worker-1", "trial 6559a42e4d2054eb: attempt 1-1 begins", "trial a1dbb084469aa58f: step 3 of 9"
    )
    node.logs.write("a100-worker-2", "x", "x", "trial 6559a42e4d2054eb: Succeeded, loss 2.1")
    about = shell("logs", "quickstart", "--trial", "6559a")
    assert about.stdout.splitlines() == [
        "a100-worker-1: trial 6559a42e4d2054eb: attempt 1-1 begins",
        "trial 6559a42e4d2054eb, attempt 1: lost",
        "a100-worker-2: trial 6559a42e4d2054eb: Succeeded, loss 2.1",
    ]
    assert shell("logs", "quickstart", "--trial", "6559a", "--tail", 1).stdout.startswith("a100-worker-2: ")
    process = shell.start("logs", "quickstart", "--trial", "6559a", "--follow")
    assert sorted(read(process, 3)) == sorted(about.stdout.splitlines())
    node.logs.write("a100-worker-2", "trial 6559a42e4d2054eb: once more")
    assert read(process, 1) == ["a100-worker-2: trial 6559a42e4d2054eb: once more"]
    node.pod("a100-worker-4", role="worker")
    node.logs.write("a100-worker-4", "trial 6559a42e4d2054eb: on a node that came later")
    assert read(process, 1) == ["a100-worker-4: trial 6559a42e4d2054eb: on a node that came later"]


def test_a_trial_that_no_log_names_is_told_by_its_record(node: Node, shell: Shell) -> None:
    node.pod(HEAD)
    result = shell("logs", "quickstart", "--trial", "ffff0000")
    assert result.stdout == ""
    assert "quickstart has no trial ffff0000, as far as its records go" in result.stderr


def test_no_earlier_container(node: Node, shell: Shell) -> None:
    node.pod(HEAD)
    result = shell("logs", "quickstart", "--previous")
    assert result.exit_code == 2
    assert result.stderr == f"The container of the pod {HEAD} has not restarted: it has no earlier log.\n"


def test_without_a_head_the_command_says_why(node: Node, shell: Shell, operator: Writer) -> None:
    result = shell("logs", "quickstart")
    assert result.exit_code == 2
    assert result.stderr == "quickstart has no head pod now, so there is no log. It is Running.\n"
    operator.status("quickstart", sweep.complete().status)
    assert "It is Complete. Every trial has finished" in shell("logs", "quickstart").stderr


def read(process: "subprocess.Popen[str]", lines: int) -> list[str]:
    assert process.stdout is not None
    return [process.stdout.readline().rstrip("\n") for _ in range(lines)]


def test_followed_through_a_broken_connection_no_line_is_lost_or_said_twice(
    node: Node, shell: Shell, wait_until: Callable[..., None]
) -> None:
    node.pod(HEAD)
    node.logs.write(HEAD, "one", "two")
    process = shell.start("logs", "quickstart", "--follow")
    assert read(process, 2) == ["one", "two"]
    node.logs.write(HEAD, "three")
    assert read(process, 1) == ["three"]
    node.logs.cut.set()
    wait_until(lambda: node.logs.broken == 1, timeout_s=10)
    node.logs.cut.clear()
    node.logs.write(HEAD, "four", "five")
    assert read(process, 2) == ["four", "five"]


def test_followed_from_a_head_that_is_lost_to_the_next(node: Node, shell: Shell) -> None:
    node.pod(HEAD)
    node.logs.write(HEAD, "the first head")
    process = shell.start("logs", "quickstart", "--follow")
    assert read(process, 1) == ["the first head"]
    node.pod(NEXT)
    node.logs.write(NEXT, "the next head")
    CoreV1Api(node.operator.client).delete_namespaced_pod(HEAD, node.operator.namespace, grace_period_seconds=0)
    with node.logs.changed:
        node.logs.ended.add(HEAD)
    assert read(process, 1) == ["the next head"]
