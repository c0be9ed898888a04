"""Where an experiment stands, in a word and a sentence; what to do next; how a command that waits for it ends."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from scaling_api.v1alpha1.status import Condition
from scaling_cli.cluster.experiments import ClusterExperiment
from scaling_cli.cluster.options import ClusterOptions
from scaling_cli.errors import ExitCode

_PLANNING: Final = "Planning"
_BUDGET: Final = "BudgetExhausted"
_WORDS_OF_A_CLUSTER: Final = {"Starting": "Starting", "Replacing": "Starting", "Stopping": "Stopping"}


@dataclass(frozen=True)
class Standing:
    """Where an experiment stands."""

    word: str
    """Such as Running."""
    why: str = ""
    """A sentence."""
    style: str = ""
    """How the word is shown."""
    is_over: bool = False
    """Nothing more will happen until someone changes the experiment."""


def standing_of(experiment: ClusterExperiment) -> Standing:
    """Return where an experiment stands: the first check that finds something."""
    return next(found for check in _CHAIN if (found := check(experiment)))


def _going(experiment: ClusterExperiment) -> Standing | None:
    return Standing("Deleting", "It is being deleted.", "yellow", is_over=True) if experiment.is_deleting else None


def _unseen(experiment: ClusterExperiment) -> Standing | None:
    if experiment.is_seen:
        return None
    what = "this change" if experiment.status.observed_generation else "this experiment"
    return Standing("New", f"The operator has not seen {what} yet.", "yellow")


def _unaccepted(experiment: ClusterExperiment) -> Standing | None:
    accepted = experiment.condition("Accepted")
    if accepted is None or accepted.reason == _PLANNING:
        return Standing("Planning", "The operator is planning the sweep.", "cyan")
    if accepted.status == "True":
        return None
    return Standing("Refused", accepted.message, "bold red", is_over=True)


def _failed(experiment: ClusterExperiment) -> Standing | None:
    failed = _true(experiment, "Failed")
    return Standing("Failed", failed.message, "bold red", is_over=True) if failed else None


def _complete(experiment: ClusterExperiment) -> Standing | None:
    complete = _true(experiment, "Complete")
    if complete is None:
        return None
    if complete.reason == _BUDGET:
        spent = experiment.condition(_BUDGET)
        return Standing("Budget spent", spent.message if spent else complete.message, "yellow", is_over=True)
    return Standing("Complete", complete.message, "bold green", is_over=True)


def _suspended(experiment: ClusterExperiment) -> Standing | None:
    suspended = experiment.condition("Suspended")
    if suspended is not None and suspended.status == "True":
        return Standing("Suspended", suspended.message, "yellow")
    return Standing("Suspending", "The cluster is being stopped.", "yellow") if experiment.is_suspended else None


def _ending(experiment: ClusterExperiment) -> Standing | None:
    complete = experiment.condition("Complete")
    if complete is not None and complete.reason == "Fitting":
        return Standing("Fitting", complete.message, "cyan")
    exhausted = _true(experiment, _BUDGET)
    if exhausted is not None:
        return Standing("Stopping", exhausted.message, "yellow")
    if _true(experiment, "TrialsComplete"):
        return Standing("Stopping", "Every trial has finished; the cluster is being stopped.", "cyan")
    return None


def _running(experiment: ClusterExperiment) -> Standing:
    ready = experiment.condition("ClusterReady")
    if ready is None:
        return Standing("Waiting", "A cluster is needed and not asked for yet.", "cyan")
    if ready.status == "True":
        return Standing("Running", "", "green")
    word = _WORDS_OF_A_CLUSTER.get(ready.reason, "Waiting")
    return Standing(word, ready.message, "cyan" if word != "Waiting" else "yellow")


_CHAIN: Final[tuple[Callable[[ClusterExperiment], Standing | None], ...]] = (
    _going, _unseen, _unaccepted, _failed, _complete, _suspended, _ending, _running,
)  # fmt: skip


def _true(experiment: ClusterExperiment, kind: str) -> Condition | None:
    return experiment.condition(kind) if experiment.is_true(kind) else None


def exit_code_of(experiment: ClusterExperiment) -> ExitCode:
    """Return how a command that waited for an experiment ends, as `scaling run` would have ended."""
    accepted = experiment.condition("Accepted")
    if accepted is not None and accepted.status == "False":
        return ExitCode.USER_ERROR
    if _true(experiment, "Failed") or _true(experiment, _BUDGET) or without_result(experiment):
        return ExitCode.TRIALS_FAILED
    if any(law.refused for law in experiment.status.laws):
        return ExitCode.LAW_REFUSED
    return ExitCode.DONE


def without_result(experiment: ClusterExperiment) -> int:
    """Return how many trials failed or diverged."""
    return experiment.status.trials.failed + experiment.status.trials.diverged


def next_steps(experiment: ClusterExperiment, options: ClusterOptions, *, has_head: bool) -> Iterator[tuple[str, str]]:
    """Yield what its owner may want to do now: why, and the command.

    Args:
        experiment: as it is.
        options: of the command.
        has_head: there is a pod with a driver, which has a log.
    """
    name, word = experiment.name, standing_of(experiment).word
    if word == "New":
        yield "is the operator running?", "kubectl get pods -A -l app.kubernetes.io/name=scaling-operator"
    if word == "Suspended":
        yield "start it", options.command("resume", name)
    if word in {"Refused", "Budget spent"}:
        field = "spec.budget" if word == "Budget spent" else "the file"
        yield f"after a change of {field}", options.command("apply", "FILE")
    if has_head and word in {"Starting", "Waiting"}:
        yield "what the head says", options.command("logs", name)
    if word == "Failed" or without_result(experiment):
        yield "which trials failed, and why", options.command("trials", name, "--failed")
    if has_head and word == "Failed":
        yield "what the driver said", options.command("logs", name)
    if word == "Running":
        yield "follow it", options.command("status", name, "--watch")
    if experiment.status.laws or word == "Complete":
        yield "the charts", options.command("report", name)
