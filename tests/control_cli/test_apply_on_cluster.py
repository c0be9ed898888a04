import json
from pathlib import Path

import pytest
from shells import Shell
from written import Writer

from throwaway.api_server import ApiServer


def spec_of(api_server: ApiServer, shell: Shell) -> dict[str, object]:
    found = api_server.must("get", "se", "quickstart", "-n", shell.namespace, "-o", "json")
    spec: dict[str, object] = json.loads(found)["spec"]
    return spec


def change(path: Path, old: str, new: str) -> Path:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    return path


def test_created_then_unchanged_then_changed(shell: Shell, question: Path, api_server: ApiServer) -> None:
    first = shell("apply", question)
    assert first.exit_code == 0, first.output
    assert f"The experiment quickstart in the namespace {shell.namespace}: created." in first.stdout
    assert f"Follow it with: scaling status quickstart --watch -n {shell.namespace}" in first.stdout
    assert "unchanged." in shell("apply", question).stdout
    again = shell("apply", change(question, "seeds: 2", "seeds: 3"))
    assert "changed." in again.stdout
    assert "  spec.sweep.seeds: 3, was 2" in again.stdout
    assert spec_of(api_server, shell)["sweep"]["seeds"] == 3  # type: ignore[index]


@pytest.mark.parametrize("words", [(), ("--dry-run",)])
def test_what_will_not_work_out_is_said_as_a_plan_says_it(words: tuple[str, ...], shell: Shell, question: Path) -> None:
    change(question, "seeds: 2", "seeds: 1")
    text = question.read_text()
    question.write_text(text.replace("\nspec:\n", "\nspec:\n  budget:\n    cost: 5\n"))
    done = shell("apply", question, *words)
    assert done.exit_code == 0, done.output
    assert "spec.budget.cost has an effect only where" in done.stderr
    assert "this machine" not in done.stderr


def test_a_dry_run_changes_nothing(shell: Shell, question: Path, api_server: ApiServer) -> None:
    done = shell("apply", question, "--dry-run")
    assert "would be created. Nothing was done." in done.stdout
    assert api_server.kubectl("get", "se", "quickstart", "-n", shell.namespace).returncode != 0


def test_what_is_wrong_is_said_as_validate_says_it_and_nothing_is_sent(shell: Shell, question: Path) -> None:
    change(question, "seeds: 2", "seeds: 2.5")
    refused, validated = shell("apply", question), shell("validate", question)
    assert refused.exit_code == 2
    assert refused.stderr == validated.stderr
    assert "expected a whole number, found 2.5" in refused.stderr


def test_a_law_that_does_not_exist_is_refused_before_anything_is_spent(shell: Shell, question: Path) -> None:
    result = shell("apply", change(question, "form: Chinchilla", "form: Chinchila"))
    assert result.exit_code == 2
    assert "did you mean Chinchilla?" in result.stderr


def test_what_only_the_server_refuses_has_its_line_in_the_file(shell: Shell, question: Path) -> None:
    shell("apply", question)
    result = shell("apply", change(question, "contextLength: 64", "contextLength: 32"))
    line = question.read_text().splitlines().index("  task:") + 1
    assert result.exit_code == 2
    assert result.stderr.startswith(f"{question}:{line}: spec.task: task is immutable; create another experiment")


def test_what_someone_else_has_set_stays_and_is_said(shell: Shell, question: Path, api_server: ApiServer) -> None:
    shell("apply", question)
    patch = '{"spec":{"budget":{"cost":9}}}'
    api_server.must("patch", "se", "quickstart", "-n", shell.namespace, "--type=merge", "-p", patch)
    result = shell("apply", question)
    assert "spec.budget.cost is 9 on the cluster and not set in the file" in result.stderr
    assert spec_of(api_server, shell)["budget"] == {"cost": 9}


def test_an_exported_object_can_be_applied_again(shell: Shell, question: Path, api_server: ApiServer) -> None:
    shell("apply", question)
    exported = question.with_name("exported.json")
    words = ("get", "se", "quickstart", "-n", shell.namespace, "-o", "json", "--show-managed-fields")
    exported.write_text(api_server.must(*words))
    api_server.must("delete", "se", "quickstart", "-n", shell.namespace)
    result = shell("apply", exported)
    assert "created." in result.stdout, result.stderr


def test_suspended_by_the_command_and_started_by_the_file(shell: Shell, question: Path, api_server: ApiServer) -> None:
    shell("apply", change(question, "\nspec:\n", "\nspec:\n  suspend: true\n"))
    shell("resume", "quickstart")
    assert spec_of(api_server, shell)["suspend"] is False
    assert "spec.suspend: true, was false" in shell("apply", question).stdout
    assert spec_of(api_server, shell)["suspend"] is True


def test_namespaces_that_differ_and_that_there_are_not(shell: Shell, question: Path) -> None:
    change(question, "{name: quickstart}", "{name: quickstart, namespace: elsewhere}")
    assert f"metadata.namespace is elsewhere, and the command says {shell.namespace}" in shell("apply", question).stderr
    change(question, "namespace: elsewhere", f"namespace: {shell.namespace}")
    assert shell("apply", question).exit_code == 0
    missing = Shell("no-such-namespace", shell.env, shell.folder)
    change(question, f", namespace: {shell.namespace}", "")
    assert missing("apply", question).stderr == (
        "There is no namespace no-such-namespace: create it, or name another with --namespace.\n"
    )


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--wait", "--dry-run"], "--dry-run changes nothing, so there is nothing to --wait for"),
        (["--wait", "--timeout", "soon"], "--timeout: expected a duration such as 90m, 12h or 1h30m, found 'soon'"),
    ],
)
def test_options_that_mean_nothing(words: list[str], sentence: str, shell: Shell, question: Path) -> None:
    result = shell("apply", question, *words)
    assert result.exit_code == 2
    assert sentence in result.stderr


def test_suspend_and_resume_say_what_happens_and_may_be_repeated(
    shell: Shell, question: Path, operator: Writer, api_server: ApiServer
) -> None:
    import quickstart_sweep as sweep

    shell("apply", question)
    operator.status("quickstart", sweep.halfway().status)
    first = shell("suspend", "quickstart")
    assert "The 4 running trials are interrupted, and go on from their checkpoints." in first.stdout
    assert spec_of(api_server, shell)["suspend"] is True
    again = shell("suspend", "quickstart")
    assert (again.exit_code, "is suspended already" in again.stdout) == (0, True)
    assert "92 of 192 trials are left" in shell("resume", "quickstart").stdout
    assert spec_of(api_server, shell)["suspend"] is False
    assert shell("resume", "quickstart").stdout == "quickstart is not suspended.\n"


def test_resuming_what_has_failed_says_how_to_go_on(shell: Shell, question: Path, operator: Writer) -> None:
    import quickstart_sweep as sweep

    shell("apply", question)
    operator.status("quickstart", sweep.status_of((), True_=("Accepted", "Failed")))
    said = shell("resume", "quickstart").stdout
    assert "quickstart is not suspended, it has failed: `scaling status quickstart" in said
    assert f"go on with: scaling suspend quickstart -n {shell.namespace}, then: scaling resume quickstart" in said
