"""What the report says in words: the question, the key numbers, and whether the law can be trusted."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from scaling_api.v1alpha1 import ScalingExperiment
from scaling_api.v1alpha1.status import Answer, Interval
from scaling_api.v1alpha1.trial import TrialKind
from scaling_cli.report.numbers import count, estimate, flops, interval, nats, plural, size, span, symbol
from scaling_cli.report.view import ReportView
from scaling_laws.law import FindingCode, Law
from scaling_laws.records import has_result, loss_of

_NOUNS = {
    "language": "a byte-level language model",
    "classification": "a text classifier",
    "translation": "a translator",
    "vision": "an image classifier",
    "detection": "an object detector",
    "speech": "a speech model",
    "custom": "a custom model",
}
_CARD_TITLES = {"E": "Irreducible loss", "alpha": "Exponent of model size", "beta": "Exponent of data"}


class Level(StrEnum):
    """How far a reader may rely on something."""

    GOOD = "good"
    NOTE = "note"
    CARE = "care"
    BAD = "bad"


_RANK = (Level.NOTE, Level.GOOD, Level.CARE, Level.BAD)
_LEVELS = {
    FindingCode.CONVERGED: Level.GOOD,
    FindingCode.DENSE_ONLY: Level.NOTE,
    FindingCode.CHOSEN: Level.NOTE,
    FindingCode.NOT_CONVERGED: Level.BAD,
    FindingCode.TOO_FEW_POINTS: Level.BAD,
    FindingCode.TOO_FEW_LEVELS: Level.BAD,
    FindingCode.INVALID_REQUEST: Level.BAD,
}


@dataclass(frozen=True)
class Card:
    """One key number."""

    title: str
    value: str
    detail: str


@dataclass(frozen=True)
class Remark:
    """One finding as the reader meets it."""

    level: Level
    code: str
    title: str
    message: str
    about: tuple[str, ...]
    """What it is about: names of laws, pipelines, questions."""
    topic: str
    """law, pipeline or answer: the first that carries it."""

    @property
    def is_about_law(self) -> bool:
        """Whether a law itself carries it, not only a pipeline or an answer."""
        return self.topic == "law"


@dataclass(frozen=True)
class Verdict:
    """Whether the law can be trusted."""

    level: Level
    headline: str
    summary: str
    remarks: tuple[Remark, ...]


def question(experiment: ScalingExperiment) -> str:
    """Return what the experiment asks, in one sentence."""
    sweep = experiment.spec.sweep
    tokens = sweep.data.tokens or tuple(c.tokens for c in sweep.combinations)
    sizes = sweep.model.parameters if sweep.model else tuple(c.parameters for c in sweep.combinations)
    factors = [f"the number of parameters ({span(sizes)})"]
    factors += [f"training tokens ({span(tokens)})"] if tokens else []
    factors += [f"compute ({span(sweep.training_flops)} FLOPs)"] if sweep.training_flops else []
    factors += (
        [f"data quality ({_list(t.name for t in sweep.data.treatments)})"] if len(sweep.data.treatments) > 1 else []
    )
    pipelines = [p.name for p in sweep.compression if p.stages]
    factors += [f"compression ({_list(pipelines)})"] if pipelines else []
    noun = _NOUNS[experiment.spec.task.name]
    return f"How does the held-out loss of {noun} depend on {_list(factors)}?"


def cards(view: ReportView) -> list[Card]:
    """Return the key numbers: best loss, the law's coefficients, the first answers."""
    found = [_best(view), *_coefficient_cards(view.law)]
    budgets = [a for a in view.analysis.answers if a.question == "trainingFlops" and a.refused is None]
    memories = [a for a in view.analysis.answers if a.question == "servingMemory" and a.refused is None]
    found += [_budget_card(a) for a in budgets[:1]] or [_split(view)]
    found += [_memory_card(a) for a in memories[:1]]
    return [card for card in found if card is not None]


def verdict(view: ReportView) -> Verdict:
    """Return whether the law can be trusted, and all findings, worst first."""
    remarks = tuple(sorted(_remarks(view), key=lambda r: -_RANK.index(r.level)))
    if not any(has_result(r) for r in view.trials):
        return Verdict(
            Level.NOTE, "No results yet", "No trial has finished with a loss; there is nothing to fit.", remarks
        )
    if view.law is None:
        return Verdict(Level.BAD, "There is no law", _why_no_law(view), remarks)
    return _with_law(view.law, remarks)


def finding_title(code: str) -> str:
    """Return a finding's code as words, such as `Weakly identified`."""
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", code)
    return words[:1].upper() + words[1:].lower()


def _with_law(law: Law, remarks: tuple[Remark, ...]) -> Verdict:
    level, points = _worst(remarks), plural(law.points, "point")
    if level is Level.BAD:
        text = "The fit is not certified or a requested law was refused. Read the findings before using any number."
        return Verdict(level, "Do not rely on these numbers yet", text, remarks)
    fitted = f"The law was fitted on {points}."
    if level is Level.CARE:
        things = _things(sum(r.level is Level.CARE for r in remarks))
        of_law = _worst([r for r in remarks if r.is_about_law])
        head = (
            "Use with care" if of_law is Level.CARE else "The dense law holds within the sweep; use the rest with care"
        )
        return Verdict(level, head, f"{fitted} {things} its reader must know.", remarks)
    if not (law.has(FindingCode.CONVERGED) or (law.certificate and law.certificate.is_certified)):
        return Verdict(Level.NOTE, "A law without warnings", f"{fitted} No check raised a warning.", remarks)
    text = f"{fitted} Its optimum is certified and no check raised a warning."
    return Verdict(Level.GOOD, "This law can be trusted within the sweep's range", text, remarks)


def _worst(remarks: Iterable[Remark]) -> Level:
    return max((r.level for r in remarks), key=_RANK.index, default=Level.NOTE)


def _things(number: int) -> str:
    return "There is one thing" if number == 1 else f"There are {number} things"


def _why_no_law(view: ReportView) -> str:
    if not view.analysis.laws:
        return "The experiment asks for no law. What was measured is shown below."
    return "Every law that was asked for was refused; the findings say why. What was measured is shown below."


def _remarks(view: ReportView) -> list[Remark]:
    """Return every finding once, whatever number of laws and answers share it."""
    about: dict[tuple[str, str], list[tuple[str, str]]] = {}
    for topic, name, code, message in _said(view):
        about.setdefault((code, message), []).append((topic, name))
    return [
        Remark(
            level=_level(code),
            code=code,
            title=finding_title(code),
            message=message,
            about=tuple(dict.fromkeys(name if topic == "answer" else f"{topic} {name}" for topic, name in where)),
            topic=where[0][0],
        )
        for (code, message), where in about.items()
    ]


def _said(view: ReportView) -> Iterable[tuple[str, str, str, str]]:
    """Yield topic, name, code and message: laws first, then pipelines, then answers."""
    for entry in view.analysis.laws:
        for finding in (*(entry.law.findings if entry.law else ()), *([entry.refused] if entry.refused else ())):
            yield "law", entry.request.name, finding.code.value, finding.message
    for pipeline in view.pipeline_laws:
        for finding in pipeline.findings:
            yield "pipeline", pipeline.pipeline, finding.code.value, finding.message
    for answer in view.analysis.answers:
        for status in answer.findings:
            yield "answer", asked(answer), status.code, status.message


def _level(code: str) -> Level:
    known = {finding.value: level for finding, level in _LEVELS.items()}
    return known.get(code, Level.CARE)


def asked(answer: Answer) -> str:
    """Return the question of an answer, such as `1e18 FLOPs`."""
    if answer.question == "attribute":
        return f"pair {answer.at:.0f}"
    if answer.question == "latency":
        return f"{answer.at:.3g} s a token"
    if answer.question == "servingMemory":
        return size(answer.at)
    return f"{flops(answer.at)} FLOPs{' a token' if answer.question == 'inferenceFlops' else ''}"


def _best(view: ReportView) -> Card | None:
    kinds = (TrialKind.DENSE, TrialKind.PIPELINE)
    done = [r for r in view.trials if has_result(r) and r.spec.kind in kinds]
    if not done:
        return None
    best = min(done, key=loss_of)
    bits = best.status.metrics.bits_per_byte
    extra = f" · {bits:.3f} bits per byte" if bits is not None else ""
    trial = best.spec
    model = f"{count(trial.parameters.matmul)} parameters, {count(trial.tokens)} tokens, {trial.pipeline.name}"
    return Card("Best held-out loss", f"{nats(loss_of(best))} nats", model + extra)


def _coefficient_cards(law: Law | None) -> list[Card]:
    if law is None:
        return []
    return [
        Card(
            f"{_CARD_TITLES[c.name]} {symbol(c.name)}",
            estimate(c.value, c.standard_error),
            _limits(law, c.lower, c.upper),
        )
        for c in law.coefficients
        if c.name in _CARD_TITLES
    ]


def _limits(law: Law, lower: float | None, upper: float | None) -> str:
    if lower is None and upper is None:
        return "no interval: bootstrap off"
    return f"{law.level:.0%} interval {interval(lower, upper)}"


def _budget_card(a: Answer) -> Card:
    best = " · ".join(f"{n} {count(i.value)}" for n, i in (("N", a.parameters), ("D", a.tokens)) if i)
    return Card(f"Compute-optimal at {flops(a.at)} FLOPs", best, _expected(a))


def _memory_card(a: Answer) -> Card:
    best = " · ".join(
        [*([a.pipeline] if a.pipeline else []), *([f"N {count(a.parameters.value)}"] if a.parameters else [])]
    )
    return Card(f"Best model in {size(a.at)}", best, _expected(a))


def _expected(a: Answer) -> str:
    """Return the loss that an answer expects, and whether that is more than a back-test has vouched for."""
    told = [_loss(a.loss)] if a.loss is not None else []
    is_beyond = any(f.code == FindingCode.EXTRAPOLATION_UNTESTED for f in a.findings)
    return " · ".join([*told, *(["an untested extrapolation"] if is_beyond else [])])


def _loss(loss: Interval) -> str:
    limits = interval(loss.lower, loss.upper) if loss.lower is not None or loss.upper is not None else ""
    return f"expected loss {estimate(loss.value, spread(loss))} {limits} nats".replace("  ", " ")


def spread(i: Interval) -> float | None:
    """Return a quarter of an interval's width, about a standard error; None where it is open."""
    return None if i.lower is None or i.upper is None else (i.upper - i.lower) / 4


def _split(view: ReportView) -> Card | None:
    """Return how the optimum shares compute between N and D, where no budget was asked about."""
    if view.surface is None or view.law is None:
        return None
    alpha, beta = view.law["alpha"], view.law["beta"]
    if min(alpha, beta) <= 0:
        return None
    a = beta / (alpha + beta)
    return Card("Compute-optimal split", f"N ∝ C^{a:.2f}", f"D ∝ C^{1 - a:.2f}, where training costs 6ND FLOPs")


def _list(words: Iterable[str]) -> str:
    items = list(words)
    return ", ".join(items[:-1]) + f" and {items[-1]}" if len(items) > 1 else "".join(items)
