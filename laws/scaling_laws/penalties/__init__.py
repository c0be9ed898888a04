"""What compression costs: paired penalties L_pipeline - L_control, their formulas, and the choice among them."""

from scaling_laws.penalties.choose import PipelineLaw, fit_pipeline, fit_pipelines
from scaling_laws.penalties.fit import PenaltyFit, fit_candidate, penalty_at, penalty_draws
from scaling_laws.penalties.formulas import CANDIDATES, Candidate, Sizes
from scaling_laws.penalties.hybrids import hybrid_findings

__all__ = [
    "CANDIDATES",
    "Candidate",
    "PenaltyFit",
    "PipelineLaw",
    "Sizes",
    "fit_candidate",
    "fit_pipeline",
    "fit_pipelines",
    "hybrid_findings",
    "penalty_at",
    "penalty_draws",
]
