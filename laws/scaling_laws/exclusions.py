"""Which trials are in no fit, why, and whether that biases the law."""

from collections import Counter
from collections.abc import Iterable, Sequence
from math import comb

from scaling_api.v1alpha1.status import TrialState
from scaling_api.v1alpha1.trial import TrialKind, TrialRecord
from scaling_laws.law import Finding, FindingCode
from scaling_laws.records import canonical, dense_records, has_result

LEVELS_SHOWN = 6
SUSPICIOUS = 0.05
"""Probability, under chance alone, below which missing trials count as concentrated on a level."""
_WORDS = {
    TrialKind.TRUNK: "trunk", TrialKind.DENSE: "dense", TrialKind.CONTROL: "control", TrialKind.PIPELINE: "compressed",
}  # fmt: skip
_ENDS = {
    TrialState.FAILED: "failed", TrialState.DIVERGED: "diverged", TrialState.PENDING: "have not started",
    TrialState.RUNNING: "have not finished", TrialState.INTERRUPTED: "were interrupted",
    TrialState.SUCCEEDED: "ended without a positive loss", TrialState.CACHED: "ended without a positive loss",
}  # fmt: skip


def exclusions(records: Iterable[TrialRecord], *, treatment: str) -> tuple[str, ...]:
    """Return sentences that say which trials are in no fit, counted by level, and why."""
    rows = canonical(records)
    return (*_without_result(rows), *_unpaired(rows), *_kept_apart(rows, treatment))


def missingness(records: Iterable[TrialRecord], *, treatment: str) -> tuple[Finding, ...]:
    """Return a finding where dense trials are missing for reasons that may have to do with their loss.

    A diverged trial is missing because its loss was bad. Failed trials are suspicious when chance alone would seldom
    put so many of them on one size or one token count (hypergeometric tail, divided among the levels).
    """
    rows = [r for r in canonical(records) if r.spec.kind is TrialKind.DENSE and r.spec.treatment.name == treatment]
    diverged = [r for r in rows if r.status.state is TrialState.DIVERGED]
    if diverged:
        return (_finding(f"{len(diverged)} of {len(rows)} dense trials diverged ({_levels(diverged, rows)})"),)
    lost = [r for r in rows if r.status.state is TrialState.FAILED]
    if lost and _is_concentrated(lost, rows):
        return (_finding(f"{len(lost)} of {len(rows)} dense trials failed on few levels ({_levels(lost, rows)})"),)
    return ()


def _finding(seen: str) -> Finding:
    advice = "the law is fitted on the survivors and may be too optimistic there; rerun them before relying on it."
    return Finding(FindingCode.INFORMATIVE_MISSINGNESS, f"{seen}: {advice}")


def _without_result(rows: Sequence[TrialRecord]) -> list[str]:
    """Say for each kind and end how many trials there are; trunks have no loss and count only when they broke."""
    sentences = []
    for kind, word in _WORDS.items():
        of_kind = [r for r in rows if r.spec.kind is kind]
        broken = [r for r in of_kind if _is_missing(r)]
        ends = Counter(_ENDS[r.status.state] for r in broken)
        for end in sorted(ends):
            missing = [r for r in broken if _ENDS[r.status.state] == end]
            share = f"{len(missing):,} of {len(of_kind):,} {word} trials {end}"
            sentences.append(f"{share} and are in no fit: {_levels(missing, of_kind)}.")
    return sentences


def _is_missing(record: TrialRecord) -> bool:
    if record.spec.kind is TrialKind.TRUNK:
        return record.status.state in {TrialState.FAILED, TrialState.DIVERGED}
    return not has_result(record)


def _unpaired(rows: Sequence[TrialRecord]) -> list[str]:
    """Say of which pipelines a result cannot be compared, since its control has none."""
    measured = {r.spec.id for r in rows if has_result(r)}
    alone = Counter(
        r.spec.pipeline.name
        for r in rows
        if r.spec.kind is TrialKind.PIPELINE and has_result(r) and r.spec.control not in measured
    )
    return [
        f"{count:,} result(s) of pipeline {name} have no measured control: their penalty is not known."
        for name, count in sorted(alone.items())
    ]


def _kept_apart(rows: Sequence[TrialRecord], treatment: str) -> list[str]:
    """Say what was measured and still is not in the dense law."""
    dense = [r for r in rows if r.spec.kind is TrialKind.DENSE and has_result(r)]
    others = Counter(r.spec.treatment.name for r in dense if r.spec.treatment.name != treatment)
    sentences = [
        f"{count:,} dense point(s) of treatment {name} are kept out of the dense law, which is fitted on {treatment}."
        for name, count in sorted(others.items())
    ]
    if repeats := len(dense) - len(dense_records(rows)):
        sentences.append(f"{repeats:,} dense point(s) repeat a model on another compute level and count once.")
    return sentences


def _levels(missing: Sequence[TrialRecord], rows: Sequence[TrialRecord]) -> str:
    """Return how many are missing of how many, by size and by tokens."""
    parts = []
    for name, of in (("N", _size), ("D", _tokens)):
        lost, total = Counter(map(of, missing)), Counter(map(of, rows))
        shown = [f"{level:,} ({lost[level]} of {total[level]})" for level in sorted(lost)]
        more = f" and {len(shown) - LEVELS_SHOWN} more" if len(shown) > LEVELS_SHOWN else ""
        parts.append(f"{name} = {', '.join(shown[:LEVELS_SHOWN])}{more}")
    return "; ".join(parts)


def _size(record: TrialRecord) -> int:
    return record.spec.parameters.matmul


def _tokens(record: TrialRecord) -> int:
    return record.spec.tokens


def _is_concentrated(missing: Sequence[TrialRecord], rows: Sequence[TrialRecord]) -> bool:
    for of in (_size, _tokens):
        lost, total = Counter(map(of, missing)), Counter(map(of, rows))
        tails = [_tail(lost[x], draws=total[x], marked=len(missing), of=len(rows)) for x in lost]
        if len(total) > 1 and min(tails) < SUSPICIOUS / len(total):
            return True
    return False


def _tail(seen: int, *, draws: int, marked: int, of: int) -> float:
    """Return the probability of at least `seen` marked among `draws` of a population."""
    ways = (comb(marked, k) * comb(of - marked, draws - k) for k in range(seen, min(draws, marked) + 1))
    return sum(ways) / comb(of, draws)
