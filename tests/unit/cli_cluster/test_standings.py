from collections.abc import Callable

import pytest
import quickstart_sweep as sweep

from scaling_api.v1alpha1.status import ExperimentStatus, LawStatus, TrialCounts
from scaling_cli.cluster.experiments import ClusterExperiment
from scaling_cli.cluster.options import ClusterOptions
from scaling_cli.cluster.standing import exit_code_of, next_steps, standing_of
from scaling_cli.errors import ExitCode

Made = Callable[..., ClusterExperiment]


def status(*true: str, generation: int = 1, instead: dict[str, tuple[str, str]] | None = None) -> ExperimentStatus:
    found = sweep.conditions_of(true, generation=generation, since=sweep.NOW, instead=instead)
    return ExperimentStatus(observed_generation=generation, conditions=found)


SPENT = {"Complete": ("BudgetExhausted", "The budget is spent, and laws are made of what there is.")}
CASES = {
    "Running": status("Accepted", "ClusterReady"),
    "Starting": status("Accepted"),
    "Waiting": status("Accepted", instead={"ClusterReady": ("NoRoom", "No node has room for the head.")}),
    "Planning": status(instead={"Accepted": ("Planning", "The sweep is being planned.")}),
    "Refused": status(),
    "Suspended": status("Accepted", "Suspended"),
    "Fitting": status("Accepted", "TrialsComplete", instead={"Complete": ("Fitting", "Laws are being fitted.")}),
    "Stopping": status("Accepted", "BudgetExhausted"),
    "Budget spent": status("Accepted", "BudgetExhausted", "Complete", instead=SPENT),
    "Failed": status("Accepted", "Failed"),
    "Complete": status("Accepted", "TrialsComplete", "Fitted", "Complete"),
}


@pytest.mark.parametrize("word", CASES)
def test_where_an_experiment_stands(word: str, made: Made) -> None:
    standing = standing_of(made(CASES[word]))
    assert standing.word == word
    assert standing.is_over == (word in {"Refused", "Budget spent", "Failed", "Complete"})


def test_nothing_is_said_before_the_operator_has_seen_it(made: Made) -> None:
    assert standing_of(made(None)).why == "The operator has not seen this experiment yet."


@pytest.mark.parametrize("word", ["Complete", "Failed", "Refused", "Suspended"])
def test_what_was_true_of_an_earlier_spec_is_not_true_of_this_one(word: str, made: Made) -> None:
    standing = standing_of(made(CASES[word], generation=2))
    assert standing.word == "New"
    assert standing.why == "The operator has not seen this change yet."
    planned_again = CASES[word].model_copy(update={"observed_generation": 2})
    assert standing_of(made(planned_again, generation=2)).word == "Planning"


def test_a_change_of_suspend_is_said_at_once(made: Made) -> None:
    assert standing_of(made(CASES["Running"], suspend=True)).word == "Suspending"


@pytest.mark.parametrize(
    ("word", "changes", "code"),
    [
        ("Complete", {}, ExitCode.DONE),
        ("Complete", {"trials": TrialCounts(failed=1)}, ExitCode.TRIALS_FAILED),
        ("Complete", {"trials": TrialCounts(diverged=1)}, ExitCode.TRIALS_FAILED),
        ("Complete", {"laws": (LawStatus(name="c", form="C", points=3, refused="No."),)}, ExitCode.LAW_REFUSED),
        ("Budget spent", {}, ExitCode.TRIALS_FAILED),
        ("Failed", {}, ExitCode.TRIALS_FAILED),
        ("Refused", {}, ExitCode.USER_ERROR),
        ("Suspended", {}, ExitCode.DONE),
    ],
)
def test_the_shell_is_told_what_a_local_run_would_tell(
    word: str, changes: dict[str, object], code: ExitCode, made: Made
) -> None:
    assert exit_code_of(made(CASES[word].model_copy(update=changes))) is code


@pytest.mark.parametrize(
    ("word", "command"),
    [
        ("Suspended", "scaling resume quickstart -n ml"),
        ("Failed", "scaling trials quickstart --failed -n ml"),
        ("Starting", "scaling logs quickstart -n ml"),
        ("Complete", "scaling report quickstart -n ml"),
        ("Budget spent", "scaling apply FILE -n ml"),
    ],
)
def test_the_next_step_can_be_typed(word: str, command: str, made: Made) -> None:
    steps = [step for _, step in next_steps(made(CASES[word]), ClusterOptions(namespace="ml"), has_head=True)]
    assert command in steps


@pytest.mark.parametrize("word", ["Starting", "Waiting", "Failed"])
def test_without_a_head_there_is_no_log_to_read(word: str, made: Made) -> None:
    steps = [step for _, step in next_steps(made(CASES[word]), ClusterOptions(), has_head=False)]
    assert not any("logs" in step for step in steps)
