import csv
import io
import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import quickstart_sweep as sweep
import written
from shells import BIN, Shell
from written import Writer

from throwaway.api_server import ApiServer

MANIFEST = sweep.manifest()


@pytest.fixture
def halfway(operator: Writer) -> dict[str, object]:
    """An experiment with some trials that run and one that failed."""
    owner = operator.experiment(MANIFEST, sweep.halfway().status)
    operator.trials(owner, sweep.halfway().records[-8:])
    return owner


def test_a_look_at_an_experiment(halfway: dict[str, object], shell: Shell, operator: Writer) -> None:
    head, worker = (f"quickstart-a1-k2x9p-{role}-aaaaa" for role in ("head", "a100-worker"))
    running = written.container_status("ray-head", {"running": {}}, is_ready=True, restarts=1)
    waiting = written.container_status(
        "ray-worker", {"waiting": {"reason": "ImagePullBackOff", "message": "not found"}}
    )
    operator.pod(written.pod_manifest(halfway, head, role="head"), written.pod_status("Running", [running]))
    operator.pod(
        written.pod_manifest(halfway, worker, role="worker", pool="a100"), written.pod_status("Pending", [waiting])
    )
    operator.event({"kind": "Pod", "name": worker}, "Failed", "Failed to pull image")
    operator.event({"kind": "Pod", "name": "another-a1-pod"}, "Failed", "not ours")
    page = shell("status", "quickstart")
    assert page.exit_code == 0, page.output
    for words in ("quickstart  Running", "100 of 192 finished", "OutOfMemory", "ImagePullBackOff: not found",
                  "Failed to pull image", "Next"):  # fmt: skip
        assert words in page.stdout
    assert any(words in page.stdout for words in ("KubeRay is not installed here", "is gone")), "by what is installed"
    assert "not ours" not in page.stdout
    found = json.loads(shell("status", "quickstart", "-o", "json").stdout)
    assert [pod["role"] for pod in found["pods"]] == ["head", "worker"]
    assert found["status"]["plan"]["trials"] == 192
    assert "state: Running" in shell("status", "quickstart", "-o", "yaml").stdout


def test_experiments_are_listed(halfway: dict[str, object], shell: Shell) -> None:
    table = shell("list").stdout
    assert "100/192" in table
    assert shell("list", "-o", "name").stdout == "quickstart\n"
    assert json.loads(shell("list", "-o", "json").stdout)[0]["metadata"]["name"] == "quickstart"
    assert shell.namespace in shell("list", "-A").stdout


def test_an_empty_namespace_says_so(shell: Shell) -> None:
    result = shell("list")
    assert (result.stdout, result.exit_code) == ("", 0)
    assert result.stderr == f"There are no experiments in the namespace {shell.namespace}.\n"


def test_trials_by_state(halfway: dict[str, object], shell: Shell) -> None:
    table = shell("trials", "quickstart", "-o", "table", "--failed").stdout
    assert table.count("Failed") == 1
    assert "OutOfMemory: The trial needs more memory" in " ".join(table.split())
    rows = list(csv.DictReader(io.StringIO(shell("trials", "quickstart", "--state", "running").stdout)))
    assert {row["state"] for row in rows} == {"Running"}
    assert {row["attempts"] for row in rows} == {"1", "2"}
    chosen = shell("trials", "quickstart", "--where", "pipeline=int3", "-o", "json").stdout
    assert {row["pipeline"] for row in json.loads(chosen)} == {"int3"}
    assert "--state Lost: the states are Pending, Running" in shell("trials", "quickstart", "--state", "Lost").stderr
    assert "there is no column 'los'" in shell("trials", "quickstart", "--where", "los<1").stderr
    none = shell("trials", "quickstart", "-o", "table", "--state", "Diverged")
    assert none.stderr == "There are no such trials.\n"


def test_an_export_fits_to_the_coefficients_of_the_status(shell: Shell, operator: Writer, tmp_path: Path) -> None:
    owner = operator.experiment(MANIFEST, sweep.complete().status)
    operator.trials(owner, sweep.complete().records)
    law = sweep.complete().status.laws[0]
    for suffix in ("csv", "json", "parquet"):
        table = tmp_path / f"trials.{suffix}"
        assert shell("trials", "quickstart", "-o", suffix, "--to", table).exit_code == 0
        fitted = shell("fit", table, "--form", "Chinchilla", "--bootstrap", 60, "--json")
        found = json.loads(fitted.stdout)["coefficients"]
        assert {name: c["value"] for name, c in found.items()} == {c.name: c.value for c in law.coefficients}
        assert {name: c["lower"] for name, c in found.items()} == {c.name: c.lower for c in law.coefficients}


def test_the_report_needs_the_api_server_alone(shell: Shell, operator: Writer, tmp_path: Path) -> None:
    owner = operator.experiment(MANIFEST, sweep.complete().status)
    operator.trials(owner, sweep.complete().records)
    result = shell("report", "quickstart", "--out", "found.html")
    assert result.stdout == "found.html\n", result.output
    page = (tmp_path / "found.html").read_text()
    alpha = next(c for c in sweep.complete().status.laws[0].coefficients if c.name == "alpha")
    assert f"{alpha.value:.3f}"[:5] in page
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".report")] == []


def test_a_report_without_results_says_so(halfway: dict[str, object], shell: Shell, operator: Writer) -> None:
    operator.experiment({**MANIFEST, "metadata": {"name": "empty"}})
    result = shell("report", "empty")
    assert (result.exit_code, result.stderr) == (2, "empty: no trial has a result yet.\n")


def test_trials_of_an_earlier_sweep_are_left_out(shell: Shell, operator: Writer, api_server: ApiServer) -> None:
    owner = operator.experiment(MANIFEST)
    operator.trials(owner, sweep.complete().records[:40])
    smaller = '{"spec":{"sweep":{"seeds":1}}}'
    api_server.must("patch", "se", "quickstart", "-n", shell.namespace, "--type=merge", "-p", smaller)
    operator.status("quickstart", sweep.halfway().status.model_copy(update={"observed_generation": 2}))
    result = shell("trials", "quickstart", "-o", "csv")
    kept = list(csv.DictReader(io.StringIO(result.stdout)))
    others = sum(record.spec.seed != 0 for record in sweep.complete().records[:40])
    assert others > 0
    assert len(kept) == 40 - others
    assert f"{others} trials are not of the experiment as it is now: left out." in result.stderr


def test_a_name_that_there_is_not(halfway: dict[str, object], shell: Shell) -> None:
    for command in ("status", "trials", "logs", "report", "suspend", "resume", "delete"):
        result = shell(command, "quikstart")
        assert result.exit_code == 2
        assert result.stderr == (
            f"There is no experiment quikstart in the namespace {shell.namespace}; did you mean quickstart?\n"
        )
    elsewhere = Shell("no-such-namespace", shell.env, shell.folder)("status", "quickstart")
    assert "There is one in " in elsewhere.stderr
    assert "is a folder, or looks like one" in shell("status", "Quick/start").stderr
    assert "is no experiment's name" in shell("suspend", "Quick/start").stderr
    assert "is no experiment's name" in shell("status", "").stderr


def test_deleted_with_its_trials(
    halfway: dict[str, object], shell: Shell, control_plane: ApiServer, wait_until: Callable[..., None]
) -> None:
    result = shell("delete", "quickstart")
    assert "is being deleted, its cluster and the records of its trials too." in result.stdout

    def are_gone() -> bool:
        return not control_plane.must("get", "se,strial", "-n", shell.namespace, "-o", "name").strip()

    wait_until(are_gone, timeout_s=30)


def test_credentials_that_are_not_accepted(shell: Shell, kubeconfig_of: Callable[..., Path]) -> None:
    result = shell("list", "--kubeconfig", kubeconfig_of(token="expired"))
    assert result.exit_code == 2
    assert "does not accept these credentials; they may have expired." in result.stderr


def test_what_one_may_not_do_is_named(
    halfway: dict[str, object], shell: Shell, control_plane: ApiServer, kubeconfig_of: Callable[..., Path]
) -> None:
    control_plane.must("create", "serviceaccount", "reader", "-n", shell.namespace)
    token = control_plane.must("create", "token", "reader", "-n", shell.namespace).strip()
    mine = ("--kubeconfig", kubeconfig_of(token=token))
    who = f"system:serviceaccount:{shell.namespace}:reader"
    refused = shell("status", "quickstart", *mine)
    assert refused.exit_code == 2
    assert refused.stderr.startswith(
        f"{who} may not get scalingexperiments.scalinglaws.dev in the namespace {shell.namespace}. Ask the cluster's"
    )
    role = ("--verb=get,list,watch", "--resource=scalingexperiments.scalinglaws.dev")
    control_plane.must("create", "role", "reader", "-n", shell.namespace, *role)
    binding = ("--role=reader", f"--serviceaccount={shell.namespace}:reader")
    control_plane.must("create", "rolebinding", "reader", "-n", shell.namespace, *binding)
    page = shell("status", "quickstart", *mine)
    assert page.exit_code == 0, page.stderr
    for kind in ("pods", "scalingtrials.scalinglaws.dev", "events.events.k8s.io"):
        assert f"Not shown: {who} may not list {kind}" in " ".join(page.stdout.split())
    assert "may not patch scalingexperiments" in shell("suspend", "quickstart", *mine).stderr


def test_a_server_that_does_not_answer(shell: Shell, kubeconfig_of: Callable[..., Path]) -> None:
    result = shell("list", "--kubeconfig", kubeconfig_of(server="https://127.0.0.1:9"))
    assert result.exit_code == 5
    assert "cannot be reached: connection refused." in result.stderr
    assert "Traceback" not in result.stderr


def test_kubectl_finds_the_command_and_its_own_options_work(
    halfway: dict[str, object], api_server: ApiServer, shell: Shell
) -> None:
    env = {**api_server.env, "PATH": f"{BIN}:{api_server.env['PATH']}"}
    words = ["kubectl", "scaling", "list", "-n", shell.namespace, "-o", "name"]
    done = subprocess.run(words, env=env, text=True, capture_output=True, timeout=60, check=False)
    assert (done.stdout, done.returncode) == ("quickstart\n", 0), done.stderr
    words = ["kubectl", "scaling", "-n", shell.namespace, "status", "quickstart"]
    done = subprocess.run(words, env=env, text=True, capture_output=True, timeout=60, check=False)
    assert f"kubectl scaling trials quickstart --failed -n {shell.namespace}" in done.stdout, done.stderr
