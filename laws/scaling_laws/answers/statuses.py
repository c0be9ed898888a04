"""Attributions and trials to add, as a status holds them."""

from collections.abc import Iterable

from scaling_api.v1alpha1.status import Answer, Interval, PartStatus, ProposalStatus
from scaling_laws.answers.attribution import Attribution, Model
from scaling_laws.answers.next_trials import NextTrials
from scaling_laws.answers.values import FINDINGS_OF_AN_ANSWER, clipped, finding_statuses, finite
from scaling_laws.law import Finding, FindingCode

ATTRIBUTE = "attribute"
NEXT_TRIALS = "nextTrials"
NAMES = {"N": "parameters", "D": "tokens"}
"""Of quantities, as the spec calls them."""
LONGEST_MODELS = 320
MOST_PARTS = 8
MOST_PROPOSALS = 16


def attribution_answer(found: Attribution, law: str, at: int, *, start: Model, end: Model) -> Answer:
    """Return an attribution as the answer to the pair `at` of spec.ask, counted from 1."""
    parts = (
        PartStatus(
            name=NAMES.get(part.name, part.name),
            value=part.value,
            lower=finite(part.lower),
            upper=finite(part.upper),
        )
        for part in found.parts[:MOST_PARTS]
    )
    return Answer(
        law=law,
        question=ATTRIBUTE,
        at=float(at),
        models=clipped(f"{_model(start)} to {_model(end)}", LONGEST_MODELS),
        loss=Interval(value=found.end),
        change=_interval(found.difference, found.lower, found.upper),
        parts=tuple(parts),
        interaction=_interval(found.interaction, found.interaction_lower, found.interaction_upper),
        findings=finding_statuses(found.findings, limit=FINDINGS_OF_AN_ANSWER),
    )


def next_trials_answer(found: NextTrials, law: str, at: float) -> Answer:
    """Return the trials to add for `at` FLOPs."""
    rows = found.additions[:MOST_PROPOSALS]
    return Answer(
        law=law,
        question=NEXT_TRIALS,
        at=at,
        training_flops=found.target_flops,
        loss=Interval(value=found.loss),
        width=finite(found.width),
        proposals=tuple(
            ProposalStatus(
                kind=row.kind,
                parameters=row.N,
                tokens=row.D,
                trials=row.trials,
                training_flops=row.flops,
                width=row.width,
            )
            for row in rows
        ),
        findings=finding_statuses(_left_out(found, len(rows)), limit=FINDINGS_OF_AN_ANSWER),
    )


def _left_out(found: NextTrials, shown: int) -> Iterable[Finding]:
    if more := len(found.additions) - shown:
        yield Finding(FindingCode.CHOSEN, f"The {shown} kinds of trials of most worth stand here; {more} more follow.")
    if not found.additions:
        yield Finding(FindingCode.CHOSEN, "The FLOPs pay for no trial that would help; ask with more.")


def _interval(value: float, lower: float | None, upper: float | None) -> Interval:
    return Interval(value=value, lower=finite(lower), upper=finite(upper))


def _model(model: Model) -> str:
    return ", ".join(f"{name} {x}" if isinstance(x, str) else f"{name} {x:.4g}" for name, x in model.items())
