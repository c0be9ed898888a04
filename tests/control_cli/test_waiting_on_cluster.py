import signal
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

import pytest
import quickstart_sweep as sweep
from forwarder import forwarding
from kubernetes.client import CustomObjectsApi
from shells import Shell
from written import Writer

from scaling_api.v1alpha1.base import GROUP, VERSION
from scaling_api.v1alpha1.status import ExperimentStatus
from throwaway.api_server import ApiServer

WaitUntil = Callable[..., None]
LONG_S = 60


class Waiting:
    """`scaling apply --wait` in a process of its own, and what it has said."""

    def __init__(self, process: "subprocess.Popen[str]", operator: Writer, wait_until: WaitUntil) -> None:
        self.process, self._operator, self._wait_until = process, operator, wait_until
        self.said = ""
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.said += line

    def owner(self) -> dict[str, Any]:
        """Return the experiment, once it is there."""
        objects = CustomObjectsApi(self._operator.client)

        def found() -> list[dict[str, Any]]:
            listed = objects.list_namespaced_custom_object(
                GROUP, VERSION, self._operator.namespace, "scalingexperiments"
            )
            items: list[dict[str, Any]] = listed["items"]
            return items

        self._wait_until(lambda: bool(found()), timeout_s=LONG_S)
        return found()[0]

    def hears(self, words: str) -> None:
        self._wait_until(lambda: words in self.said, timeout_s=LONG_S)

    def end(self) -> tuple[int, str]:
        """Return the exit status and standard output."""
        code = self.process.wait(LONG_S)
        assert self.process.stdout is not None
        return code, self.process.stdout.read()


@pytest.fixture
def waiting(shell: Shell, question: Path, operator: Writer, wait_until: WaitUntil) -> Callable[..., Waiting]:
    def start(*words: object) -> Waiting:
        return Waiting(shell.start("apply", question, "--wait", *words), operator, wait_until)

    return start


def finish(operator: Writer, **changes: Any) -> None:
    operator.status("quickstart", sweep.complete().status.model_copy(update=changes))


def test_progress_then_laws_and_answers(waiting: Callable[..., Waiting], operator: Writer) -> None:
    found = waiting()
    owner = found.owner()
    found.hears("New. · The operator has not seen this experiment yet.")
    operator.status("quickstart", sweep.halfway().status)
    found.hears("Running: 100 of 192 trials, 1 failed")
    failed = sweep.in_state(sweep.plan()[110], sweep.TrialState.FAILED, attempts=2, failure=sweep.OUT_OF_MEMORY)
    operator.trials(owner, [failed])
    found.hears("failed. The trial needs more memory than its pod has.")
    about = {"kind": "ScalingExperiment", "name": "quickstart", "uid": owner["metadata"]["uid"]}
    operator.event(about, "DriverUnreachable", "The driver does not answer.")
    found.hears("DriverUnreachable: The driver does not answer.")
    finish(operator)
    code, shown = found.end()
    assert code == 0, found.said
    assert "quickstart  Complete" in shown
    alpha = next(c for c in sweep.complete().status.laws[0].coefficients if c.name == "alpha")
    assert f"{alpha.value:.6f}" in shown
    assert "Best model for a serving memory" in shown


def test_trials_without_a_result_end_with_three(waiting: Callable[..., Waiting], operator: Writer) -> None:
    found = waiting()
    found.owner()
    counts = sweep.complete().status.trials.model_copy(update={"succeeded": 191, "failed": 1})
    finish(operator, trials=counts)
    assert found.end()[0] == 3
    assert "1 of 192 trials have no result (1 failed). See: scaling trials quickstart --failed -n" in found.said


def test_a_refused_experiment_ends_with_two(waiting: Callable[..., Waiting], operator: Writer) -> None:
    found = waiting()
    found.owner()
    conditions = sweep.conditions_of((), generation=1, since=sweep.NOW)
    operator.status("quickstart", ExperimentStatus(observed_generation=1, conditions=conditions))
    assert found.end()[0] == 2
    assert "quickstart is not accepted. spec.execution.priorityClassName: batch may be used here" in found.said


def test_what_was_said_of_an_earlier_spec_does_not_end_the_waiting(
    waiting: Callable[..., Waiting], operator: Writer, shell: Shell, question: Path
) -> None:
    shell("apply", question)
    finish(operator)
    question.write_text(question.read_text().replace("seeds: 2", "seeds: 3"))
    found = waiting("--timeout", "3s")
    assert found.end()[0] == 124
    assert "The operator has not seen this change yet" in found.said
    assert "The time is over. quickstart goes on" in found.said


def test_an_experiment_that_is_suspended_from_the_start_ends_with_its_plan(
    waiting: Callable[..., Waiting], operator: Writer, question: Path
) -> None:
    question.write_text(question.read_text().replace("\nspec:\n", "\nspec:\n  suspend: true\n"))
    found = waiting()
    found.owner()
    operator.status("quickstart", sweep.status_of((), True_=("Accepted", "Suspended")))
    code, shown = found.end()
    assert code == 0
    assert "The whole plan takes 1.6e13 FLOPs, about 0.08 accelerator-hours, cost about 0.29." in shown


def test_interrupted_the_experiment_goes_on(
    waiting: Callable[..., Waiting], operator: Writer, api_server: ApiServer, shell: Shell
) -> None:
    found = waiting()
    found.owner()
    operator.status("quickstart", sweep.halfway().status)
    found.hears("Running: ")
    found.process.send_signal(signal.SIGINT)
    assert found.end()[0] == 130
    assert "No longer waiting; the cluster goes on with quickstart." in found.said
    assert f"stop it with: scaling suspend quickstart -n {shell.namespace}" in found.said
    assert "Traceback" not in found.said
    api_server.must("get", "se", "quickstart", "-n", shell.namespace)


def test_a_deleted_experiment_ends_the_waiting(waiting: Callable[..., Waiting], operator: Writer) -> None:
    found = waiting()
    found.owner()
    operator.status("quickstart", sweep.halfway().status)
    found.hears("Running: ")
    operator.delete("quickstart")
    assert found.end()[0] == 3
    assert "quickstart was deleted meanwhile." in found.said


def test_a_network_that_comes_and_goes_is_waited_out(
    shell: Shell, question: Path, operator: Writer, wait_until: WaitUntil, kubeconfig_of: Callable[..., Path],
    api_server: ApiServer,
) -> None:  # fmt: skip
    address = urlparse(api_server.must("config", "view", "--minify", "-o", "jsonpath={.clusters[0].cluster.server}"))
    assert address.hostname is not None
    assert address.port is not None
    with forwarding((address.hostname, address.port)) as network:
        file = kubeconfig_of(server=f"https://127.0.0.1:{network.port}")
        process = shell.start("apply", question, "--wait", "--kubeconfig", file)
        found = Waiting(process, operator, wait_until)
        found.owner()
        operator.status("quickstart", sweep.halfway().status)
        found.hears("Running: ")
        network.cut()
        found.hears("Trying again.")
        finish(operator)
        network.mend()
        assert found.end()[0] == 0, found.said
    assert found.said.count("Trying again.") == 1


def test_a_page_is_shown_again_when_something_changes(
    shell: Shell, question: Path, operator: Writer, wait_until: WaitUntil
) -> None:
    shell("apply", question)
    process = shell.start("status", "quickstart", "--watch")
    assert process.stdout is not None
    lines: list[str] = []
    threading.Thread(target=lambda: lines.extend(iter(process.stdout.readline, "")), daemon=True).start()  # type: ignore[union-attr]
    wait_until(lambda: any("quickstart  New" in line for line in lines), timeout_s=LONG_S)
    operator.status("quickstart", sweep.halfway().status)
    wait_until(lambda: any("quickstart  Running" in line for line in lines), timeout_s=LONG_S)
    process.send_signal(signal.SIGINT)
    assert process.wait(LONG_S) == 0
