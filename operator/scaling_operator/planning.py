"""Plans as the operator asks for them: a request with a digest, answered off the event loop."""

from dataclasses import dataclass

from scaling_api.problems import InvalidExperimentError, Problem
from scaling_api.v1alpha1.execution import Pool
from scaling_api.v1alpha1.experiment import ExperimentSpec
from scaling_laws.design.cost import Estimate, estimate
from scaling_laws.design.identity import RECIPE_VERSION, digest
from scaling_laws.design.plan import Plan, plan_trials

UNKNOWN_CORPUS = "0" * 64
"""Stands for a corpus that has not been read yet: the counts and FLOPs of a plan do not depend on it, its ids do."""


@dataclass(frozen=True)
class PlanRequest:
    """A plan to make."""

    spec: ExperimentSpec
    corpus_fingerprint: str | None
    """None: not known yet; the plan's counts are right and its ids are not."""
    lanes: int
    """Trials at a time, at most."""
    pools: tuple[Pool, ...]
    """With the administrator's defaults, for the cost."""

    @property
    def digest(self) -> str:
        """SHA-256 of all that the answer depends on."""
        spec = self.spec
        return digest(
            recipe=RECIPE_VERSION,
            task=spec.task.model_dump(mode="json"),
            sweep=spec.sweep.model_dump(mode="json"),
            training=spec.training.model_dump(mode="json"),
            laws=[(law.form, law.features) for law in spec.laws],
            corpus=self.corpus_fingerprint,
            lanes=self.lanes,
            pools=[pool.model_dump(mode="json") for pool in self.pools],
        )


@dataclass(frozen=True)
class PlanAnswer:
    """A plan, or why there is none."""

    digest: str
    """Of the request."""
    plan: Plan | None = None
    estimate: Estimate | None = None
    corpus_fingerprint: str | None = None
    """As requested."""
    problems: tuple[Problem, ...] = ()
    """Why there is no plan."""


def make_plan(request: PlanRequest) -> PlanAnswer:
    """Return the plan that was asked for, or the problems that stand in its way. Takes up to seconds."""
    from scaling_laws.law_requests import unfittable  # scipy behind it costs 60 MiB, of the child process alone

    known = request.corpus_fingerprint
    if problems := unfittable(request.spec):
        return PlanAnswer(request.digest, problems=problems)
    try:
        plan = plan_trials(request.spec, corpus_fingerprint=known or UNKNOWN_CORPUS)
    except InvalidExperimentError as error:
        return PlanAnswer(request.digest, problems=error.problems)
    sequences = request.spec.training.evaluation_sequences
    cost = estimate(plan, lanes=request.lanes, evaluation_sequences=sequences, pools=request.pools)
    return PlanAnswer(request.digest, plan=plan, estimate=cost, corpus_fingerprint=known)
