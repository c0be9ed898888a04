"""A law as a value: coefficients with intervals, the certificate of its optimum, what its reader must know."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from scaling_laws.points import FloatArray


class FindingCode(StrEnum):
    """What can be wrong with a law; `docs/laws.md` explains each."""

    CONVERGED = "Converged"
    """The optimum is certified: gradient zero, curvature positive, starts agree."""
    NOT_CONVERGED = "NotConverged"
    """The optimum is not certified."""
    WEAKLY_IDENTIFIED = "WeaklyIdentified"
    """The data hardly tell some coefficients apart."""
    BOUND_HIT = "BoundHit"
    """A coefficient lies on the edge of what is allowed."""
    COLLINEAR = "Collinear"
    """Columns of a linear law, or log N and log D of another, carry the same information."""
    STEP_LIMITED = "StepLimited"
    """Points of fewer than 1,000 steps bias the exponents."""
    LACK_OF_FIT = "LackOfFit"
    """Residuals exceed the scatter between seeds."""
    TOO_FEW_POINTS = "TooFewPoints"
    """Not more points than coefficients need; the law is refused."""
    TOO_FEW_LEVELS = "TooFewLevels"
    """An axis has too few distinct values; the law is refused."""
    TOO_FEW_CLUSTERS = "TooFewClusters"
    """Too few independent trajectories for trustworthy intervals."""
    OUTLIERS = "Outliers"
    """A few points move the law by more than its errors."""
    CORRELATED_POINTS = "CorrelatedPoints"
    """Points that look like those of one training run are taken as independent."""
    TRAJECTORIES_ASSUMED = "TrajectoriesAssumed"
    """Points of one size are taken for checkpoints of one training run."""
    BIASED = "Biased"
    """The method itself misses the truth by more than its intervals say, and a better one exists."""
    OVERFLOW = "Overflow"
    """Numbers went beyond what a computer's integers or floating-point numbers hold."""
    EXTRAPOLATION_UNTESTED = "ExtrapolationUntested"
    """An answer lies beyond what a back-test could check."""
    MULTIPLIER_NOT_CONSTANT = "MultiplierNotConstant"
    """A pipeline's effective-parameter multiplier changes with D/N."""
    INFORMATIVE_MISSINGNESS = "InformativeMissingness"
    """Trials are missing for reasons that have to do with their loss."""
    DENSE_ONLY = "DenseOnly"
    """The law knows dense models only, and pipelines were swept."""
    CHOSEN = "Chosen"
    """Of several formulas the law has the one that predicts held-out points best."""
    INVALID_REQUEST = "InvalidRequest"
    """The law asked for names a form or a column that does not exist; the law is refused."""


@dataclass(frozen=True)
class Finding:
    """Something that the reader of a law must know."""

    code: FindingCode
    message: str
    """What was seen, with its numbers, and what the user can do."""


class LawRefusedError(ValueError):
    """The data cannot carry the law; `finding` says why."""

    def __init__(self, finding: Finding) -> None:
        self.finding = finding
        super().__init__(finding.message)


class IntervalMethod(StrEnum):
    """How standard errors and confidence limits were made."""

    NONE = "None"
    WILD_CLUSTER_T = "WildClusterBootstrapT"
    CV3 = "CV3"
    PAIRS = "PairsBootstrap"
    CLUSTER_PAIRS = "ClusterPairsBootstrap"
    HC3 = "HC3"
    BCA = "BCa"
    HESSIAN = "Hessian"
    SANDWICH = "Sandwich"
    PROFILE = "Profile"
    LEAST_SQUARES = "LeastSquares"


@dataclass(frozen=True)
class Estimate:
    """One coefficient."""

    name: str
    value: float
    standard_error: float | None = None
    lower: float | None = None
    upper: float | None = None


@dataclass(frozen=True)
class Certificate:
    """Why an optimum may be believed."""

    gradient_norm: float
    """Scaled: largest |gradient| times the coefficient's scale over the objective."""
    smallest_curvature: float
    """Smallest eigenvalue of the scaled Hessian."""
    condition_number: float
    """Largest over smallest eigenvalue of the scaled Hessian."""
    starts: int
    """Starting points tried."""
    starts_agreeing: int
    """Starting points that ended in this optimum."""
    next_basin_gap: float | None
    """Objective of the next best local optimum minus this one; None when there is no other."""
    active_bounds: tuple[str, ...]
    """Coefficients on their bounds."""
    chance_of_another: float = 0.0
    """That one more start would end in an optimum that none has found: the share of the starts that settled which ended
    where no other did (Good 1953, doi:10.1093/biomet/40.3-4.237)."""

    @property
    def is_certified(self) -> bool:
        """Gradient zero, curvature positive, more than one start agrees, and others would hardly end elsewhere."""
        is_optimum = self.gradient_norm < 1e-6 and self.smallest_curvature > 0
        return is_optimum and self.starts_agreeing > 1 and not self.has_many_basins

    @property
    def has_many_basins(self) -> bool:
        """Whether there are so many local optima that the best one found need not be the best one."""
        return self.chance_of_another > 0.5


@dataclass(frozen=True)
class Factor:
    """One factor of a linear law, compute, data or compression: a regression on its own columns."""

    name: str
    features: tuple[str, ...]
    """Its columns, dummies included."""
    spread: float
    """Standard deviation, over the points, of what the law says it contributes, in units of the response."""
    r2_alone: float
    """Share of the variance that its columns explain without the others."""
    r2_added: float
    """Share that they add to the others'."""
    share: float
    """Its part of R2, averaged over all orders in which the factors may enter; the parts add up to R2."""
    f: float
    """Of the test that it adds nothing."""
    p: float
    """Chance of so large an f without an effect, points taken as independent."""


@dataclass(frozen=True)
class Law:
    """A fitted law."""

    form: str
    """Registered name, such as Chinchilla."""
    formula: str
    """Written out, such as L = E + A/N^alpha + B/D^beta."""
    coefficients: tuple[Estimate, ...]
    """In the order of the formula, in natural units (E, A, B, alpha, beta)."""
    objective: float
    """Minimised."""
    objective_name: str
    """Such as log-huber (sum, delta 0.001)."""
    points: int
    clusters: int | None
    level: float
    """Of the confidence limits, such as 0.95."""
    interval_method: IntervalMethod
    draws: FloatArray | None
    """Bootstrap draws of the coefficients, shape (draws, coefficients), same order; None without a bootstrap."""
    residuals: FloatArray
    """Of the log loss (of the response for Linear), one a point."""
    fitted: FloatArray
    """Predicted loss (response), one a point."""
    goodness: Mapping[str, float]
    """Such as r2, rmse_log, mean_relative_error; for Linear also adjusted_r2, f, condition_number."""
    certificate: Certificate | None
    findings: tuple[Finding, ...]
    details: Mapping[str, Mapping[str, float]]
    """Per-coefficient extras by name: hc3, cr3, t, p, vif (Linear); cv3 (bootstrapped forms)."""
    factors: tuple[Factor, ...] = ()
    """Linear with columns of several factors: what each explains."""
    has_log_residuals: bool = True
    """Whether residuals are of logarithms, or of the response itself."""

    def __getitem__(self, name: str) -> float:
        """The value of a coefficient."""
        return next(c.value for c in self.coefficients if c.name == name)

    @property
    def observed(self) -> FloatArray:
        """The response that was fitted, one a point."""
        return self.fitted * np.exp(self.residuals) if self.has_log_residuals else self.fitted + self.residuals

    def has(self, code: FindingCode) -> bool:
        """Whether the law carries this finding."""
        return any(f.code == code for f in self.findings)
