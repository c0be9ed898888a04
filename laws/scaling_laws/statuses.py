"""Laws as a status holds them: bounded lists, bounded sentences, finite numbers at full precision."""

from collections.abc import Iterable, Sequence

from scaling_api.v1alpha1.laws import LawRequest
from scaling_api.v1alpha1.status import Coefficient, LawStatus
from scaling_laws.answers.values import FINDINGS_OF_A_LAW, LONGEST_NAME, clipped, finding_statuses, finite
from scaling_laws.law import Finding, FindingCode, Law
from scaling_laws.penalties import PenaltyFit, PipelineLaw

MOST_COEFFICIENTS = 64
LONGEST_FORMULA = 256
OF_TREATMENTS = frozenset((FindingCode.CHOSEN, FindingCode.NOT_CONVERGED))
"""Findings of what treatments change that stand beside those of the dense law."""


def law_status(
    request: LawRequest,
    law: Law | None,
    *,
    refused: Finding | None,
    pipelines: Sequence[PipelineLaw] = (),
    treatments: Law | None = None,
) -> LawStatus:
    """Return a law as it stands in a status, or why there is none.

    Coefficients of a penalty go by pipeline and name, such as int3.k; those of a treatment by what it changes and its
    name, such as q_noisy, what one of its tokens is worth, and dE_noisy, by how much it lifts the floor.
    """
    findings = [finding for pipeline in pipelines for finding in pipeline.findings]
    findings += [finding for finding in (treatments.findings if treatments else ()) if finding.code in OF_TREATMENTS]
    if law is None:
        reason = "There is no law." if refused is None else refused.message
        return LawStatus(
            name=request.name,
            form=request.form,
            parameters=request.parameters.value,
            points=0,
            refused=clipped(reason),
            findings=finding_statuses([refused] if refused else [], limit=FINDINGS_OF_A_LAW),
        )
    coefficients = [*_coefficients(law), *_effects(law, treatments), *(c for p in pipelines for c in _penalty(p))]
    return LawStatus(
        name=request.name,
        form=request.form,
        formula=clipped(_formula(law, pipelines), LONGEST_FORMULA),
        parameters=request.parameters.value,
        points=law.points,
        objective=finite(law.objective),
        r_squared=finite(law.goodness.get("r2")),
        confidence_level=law.level,
        interval_method=law.interval_method.value,
        coefficients=tuple(coefficients[:MOST_COEFFICIENTS]),
        findings=finding_statuses([*law.findings, *findings], limit=FINDINGS_OF_A_LAW),
    )


def _coefficients(law: Law) -> Iterable[Coefficient]:
    for estimate in law.coefficients:
        if (value := finite(estimate.value)) is not None:
            yield Coefficient(
                name=clipped(estimate.name, LONGEST_NAME),
                value=value,
                standard_error=finite(estimate.standard_error),
                lower=finite(estimate.lower),
                upper=finite(estimate.upper),
            )


def _effects(law: Law, treatments: Law | None) -> Iterable[Coefficient]:
    """Yield what treatments change: the coefficients that the dense law does not have."""
    own = {estimate.name for estimate in law.coefficients}
    found = () if treatments is None else _coefficients(treatments)
    return (coefficient for coefficient in found if coefficient.name not in own)


def _penalty(pipeline: PipelineLaw) -> Iterable[Coefficient]:
    for name, value, error in pipeline.used.coefficients:
        yield Coefficient(
            name=clipped(f"{pipeline.pipeline}.{name}", LONGEST_NAME), value=value, standard_error=finite(error)
        )


def _formula(law: Law, pipelines: Sequence[PipelineLaw]) -> str:
    """Return the dense formula, and which penalty each pipeline adds."""
    penalties = [f"{p.pipeline}: {_short(p.used)}" for p in pipelines]
    return "; ".join([law.formula, *penalties])


def _short(fit: PenaltyFit) -> str:
    return f"+ {fit.form}"
