"""An experiment on a cluster on one page: where it stands, why, what it found, what to do next."""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from itertools import islice
from typing import TYPE_CHECKING, Final

from scaling_api.v1alpha1.status import Condition, TrialState
from scaling_api.v1alpha1.trial import TrialRecord
from scaling_cli.cluster.events import ClusterEvent
from scaling_cli.cluster.experiments import ClusterExperiment
from scaling_cli.cluster.looking import Look
from scaling_cli.cluster.options import ClusterOptions
from scaling_cli.cluster.ray import Pod, RayJob
from scaling_cli.cluster.standing import next_steps, standing_of
from scaling_cli.show.answers import answer_blocks
from scaling_cli.show.law_statuses import law_status_blocks
from scaling_cli.show.laws import finding_blocks
from scaling_cli.show.numbers import power, significant, some
from scaling_cli.show.spending import spending
from scaling_cli.show.times import ago, short_ago
from scaling_cli.show.trial_names import describe

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table
    from rich.text import Text

_FEW: Final = 5
_RECENT: Final = timedelta(hours=1)
_SETTLING: Final = ("ClusterReady", "Suspended", "Complete")
"""Conditions that, once True, leave earlier warnings behind."""
_BAR_WIDTH: Final = 40
_WANTED_FALSE: Final = ("Suspended", "BudgetExhausted", "Failed")
"""Conditions that say something when they are True."""
_ORDER: Final = (
    "Failed", "BudgetExhausted", "Suspended", "Accepted", "ClusterReady", "TrialsComplete", "Fitted", "Complete",
)  # fmt: skip


def page_blocks(
    look: Look, options: ClusterOptions, *, now: datetime, is_wide: bool = False
) -> "Iterator[RenderableType]":
    """Yield the page. Wide, it leaves nothing out: all conditions, trials, pods and warnings."""
    from rich.text import Text

    experiment = look.experiment
    most = None if is_wide else _FEW
    yield _headline(experiment, now, is_wide=is_wide)
    yield _facts(look, now)
    yield from _conditions(experiment, now, is_wide=is_wide)
    yield from _trials("Running", look, (TrialState.RUNNING,), most)
    yield from _trials("Without a result", look, (TrialState.FAILED, TrialState.DIVERGED, TrialState.INTERRUPTED), most)
    yield from _pods(look.pods, now, is_wide=is_wide)
    yield from _warnings(look.warnings if is_wide else _current(look, now), now, most)
    yield from law_status_blocks(experiment.status.laws)
    yield from answer_blocks(experiment.status.answers)
    if experiment.status.left_out:
        yield Text(f"\n{experiment.status.left_out}", style="dim")
    yield from (Text(f"\nNot shown: {sentence}", style="dim") for sentence in look.unseen)
    yield from _next(look, options)


def _headline(experiment: ClusterExperiment, now: datetime, *, is_wide: bool) -> "Text":
    from rich.text import Text

    standing = standing_of(experiment)
    age = f"created {ago(experiment.created, now)} ago"
    facts = f"  namespace {experiment.namespace}, {age}, generation {experiment.generation}"
    text = Text.assemble((experiment.name, "bold"), "  ", (standing.word, standing.style), (facts, "dim"))
    is_said = any(c.message == standing.why for c in _shown_conditions(experiment, is_wide=is_wide))
    return text.append(f"\n{standing.why}") if standing.why and not is_said else text


def _facts(look: Look, now: datetime) -> "Table":
    from rich.progress_bar import ProgressBar
    from rich.table import Table

    experiment, status = look.experiment, look.experiment.status
    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    plan = status.plan
    if plan is not None:
        takes = [f"{power(plan.training_flops)} FLOPs"]
        takes += [f"about {plan.accelerator_hours:.3g} accelerator-hours"] if plan.accelerator_hours else []
        takes += [f"cost about {plan.cost:,.2f}"] if plan.cost else []
        table.add_row("plan", f"{some(plan.trials, 'trial')}, {some(plan.points, 'point')}: {', '.join(takes)}")
        table.add_row("trials", _counts(experiment))
        if experiment.finished < plan.trials:
            table.add_row("", ProgressBar(total=plan.trials, completed=experiment.finished, width=_BAR_WIDTH))
        table.add_row("spent", " · ".join(spending(experiment, now)))
    if status.best_loss is not None:
        table.add_row("best loss", f"{significant(status.best_loss, 6)} nats")
    if look.ray_job is not None:
        table.add_row("RayJob", _job(look.ray_job))
    return table


def _counts(experiment: ClusterExperiment) -> "Text":
    from rich.text import Text

    counts, plan = experiment.status.trials, experiment.status.plan
    assert plan is not None
    text = Text(f"{experiment.finished:,} of {plan.trials:,} finished")
    named = (("running", counts.running, ""), ("failed", counts.failed, "red"), ("diverged", counts.diverged, "red"),
             ("waiting", counts.pending, ""))  # fmt: skip
    for word, number, style in named:
        if number:
            text.append(", ").append(f"{number:,} {word}", style=style)
    return text


def _job(job: RayJob) -> str:
    if job.is_gone:
        return f"{job.name} is gone"
    states = [state for state in (job.deployment_status, job.job_status) if state] or ["not seen by KubeRay yet"]
    return f"{job.name}: {', '.join(states)}{f'. {job.message}' if job.message else ''}"


def _shown_conditions(experiment: ClusterExperiment, *, is_wide: bool) -> list[Condition]:
    found = {c.type: c for c in experiment.status.conditions}
    names = [*(n for n in _ORDER if n in found), *(n for n in found if n not in _ORDER)]
    return [found[name] for name in names if is_wide or _matters(found[name], experiment)]


def _conditions(experiment: ClusterExperiment, now: datetime, *, is_wide: bool) -> "Iterator[RenderableType]":
    from rich.text import Text

    shown = _shown_conditions(experiment, is_wide=is_wide)
    if not shown:
        return
    table = _grid(("", None), ("condition", True), ("since", True), ("reason", True), ("message", False))
    for condition in shown:
        is_stale = condition.observed_generation < experiment.generation
        sign, style = ("?", "dim") if is_stale or condition.status == "Unknown" else _sign(condition)
        message = f"(of an earlier spec) {condition.message}" if is_stale else condition.message
        table.add_row(
            Text(sign, style=style), condition.type, short_ago(condition.last_transition_time, now), condition.reason,
            message,
        )  # fmt: skip
    yield Text("\nConditions", style="bold")
    yield table


def _sign(condition: Condition) -> tuple[str, str]:
    # Suspended is what its owner asked for, either way.
    is_good = condition.type == "Suspended" or (condition.status == "True") != (condition.type in _WANTED_FALSE)
    return ("✓", "green") if is_good else ("✗", "red" if condition.type in {"Failed", "Accepted"} else "yellow")


def _matters(condition: Condition, experiment: ClusterExperiment) -> bool:
    """Whether a person who asks "what is wrong?" wants to read it; progress and laws speak for themselves."""
    standing = standing_of(experiment)
    is_true = condition.status == "True"
    if condition.type in _WANTED_FALSE:
        return is_true
    if condition.type == "Accepted":
        return not is_true
    if condition.type == "ClusterReady":
        return not standing.is_over and standing.word not in {"Suspended", "Refused"}
    if condition.type == "Fitted":
        return is_true or condition.reason != "WaitingForTrials"
    if condition.type == "Complete":
        return is_true
    return condition.type not in _ORDER


def _trials(title: str, look: Look, states: Sequence[TrialState], most: int | None) -> "Iterator[RenderableType]":
    from rich.text import Text

    records = [record for record in look.trials.records if record.status.state in states]
    if not records:
        return
    records.sort(key=lambda record: (states.index(record.status.state), -record.spec.flops, record.spec.id))
    has_why = any(record.status.failure for record in records[:most])
    why = [("why", False)] if has_why else []
    table = _grid(("trial", True), ("what", True), ("state", True), ("attempt", True), *why)
    for record in records[:most]:
        state, attempt = record.status.state.value.lower(), str(record.status.attempts)
        table.add_row(record.spec.id, describe(record.spec), state, attempt, *([_why(record)] if has_why else []))
    yield Text(f"\n{title}", style="bold")
    yield table
    yield from _more(len(records), most)


def _why(record: TrialRecord) -> str:
    failure = record.status.failure
    return "" if failure is None else f"{failure.failure_class.value}, {failure.reason}: {failure.message}"


def _pods(pods: Sequence[Pod], now: datetime, *, is_wide: bool) -> "Iterator[RenderableType]":
    from rich.text import Text

    if not pods:
        return
    well = [pod for pod in pods if pod.is_ready and not pod.trouble and not pod.is_head]
    shown = pods if is_wide or len(well) <= _FEW else [pod for pod in pods if pod not in well[_FEW:]]
    columns = [("pod", True), ("pool", True), ("state", True), ("restarts", True), ("age", True)]
    table = _grid(*columns, *([("node", True)] if is_wide else []), ("why", False))
    for pod in shown:
        state = "Ready" if pod.is_ready and pod.phase == "Running" else pod.phase
        cells = [pod.name, "head" if pod.is_head else pod.pool, state, str(pod.restarts), short_ago(pod.created, now)]
        style = "" if state == "Ready" else "yellow"
        table.add_row(*cells, *([pod.node or "–"] if is_wide else []), pod.trouble, style=style)
    yield Text("\nPods", style="bold")
    yield table
    if (more := len(pods) - len(shown)) > 0:
        yield Text(f"and {some(more, 'more worker')} that {'is' if more == 1 else 'are'} ready", style="dim")


def _current(look: Look, now: datetime) -> list[ClusterEvent]:
    """Return the warnings of the last hour, without those from before the state that it is in."""
    settled = (c for c in look.experiment.status.conditions if c.type in _SETTLING and c.status == "True")
    since = max([now - _RECENT, *(c.last_transition_time for c in settled)])
    return [event for event in look.warnings if event.at is None or event.at >= since]


def _warnings(events: Sequence[ClusterEvent], now: datetime, most: int | None) -> "Iterator[RenderableType]":
    from rich.text import Text

    if not events:
        return
    table = _grid(("ago", True), ("reason", True), ("about", False), ("message", False))
    for event in islice(events, most):
        times = f" (×{event.count:,})" if event.count > 1 else ""
        table.add_row(short_ago(event.at, now), event.reason, event.about, f"{event.note}{times}")
    yield Text("\nWarnings", style="bold")
    yield table
    yield from _more(len(events), most)


def _more(number: int, most: int | None) -> "Iterator[Text]":
    from rich.text import Text

    if most is not None and number > most:
        yield Text(f"and {number - most:,} more; -o wide shows all", style="dim")


def _next(look: Look, options: ClusterOptions) -> "Iterator[RenderableType]":
    from rich.text import Text

    steps = list(next_steps(look.experiment, options, has_head=look.has_head))
    if steps:
        yield Text("\nNext", style="bold")
        yield from finding_blocks([(command, why) for why, command in steps])


def _grid(*columns: tuple[str, bool | None]) -> "Table":
    """Return a table without lines; the columns are names, and whether they stay on one line."""
    from rich.table import Table

    table = Table(box=None, header_style="dim", padding=(0, 2, 0, 0), pad_edge=False)
    for name, is_one_line in columns:
        table.add_column(name, no_wrap=bool(is_one_line), overflow="fold")
    return table
