"""From a valid experiment to its plan, with what it will take on this machine."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from scaling_api.messages import ended
from scaling_api.problems import InvalidExperimentError
from scaling_api.v1alpha1 import ExperimentSpec, ScalingExperiment
from scaling_api.v1alpha1.execution import Budget
from scaling_api.v1alpha1.status import PlanStatus
from scaling_api.v1alpha1.trial import TrialSpec
from scaling_cli.errors import CommandError
from scaling_cli.experiments import LoadedExperiment
from scaling_cli.planned_laws import never_answered, never_fitted
from scaling_laws.analysis import JOINT, has_dense_surface
from scaling_laws.design.corpora import PYTHON_CORPUS_FINGERPRINT
from scaling_laws.design.cost import Estimate, estimate
from scaling_laws.design.plan import Plan, plan_trials
from scaling_laws.design.supported import Place, unsupported, unused
from scaling_laws.fit.findings import FEWEST_CLUSTERS, FEWEST_STEPS
from scaling_laws.law_requests import unfittable

if TYPE_CHECKING:
    from scaling_api.v1alpha1.task import Corpus

FEWEST_POINTS = 8
"""That a law of five coefficients is fitted on."""
INSTALL_TRAINER = "install it with: pip install 'scaling-operator[trainer]'"


@dataclass(frozen=True)
class LocalPlan:
    """A plan and what it takes on this machine."""

    experiment: ScalingExperiment
    plan: Plan
    corpus_fingerprint: str
    lanes: int
    """Trials at a time."""
    estimate: Estimate
    place: Place | None = Place.MACHINE
    """What runs them; None where that is not chosen yet."""


def plan_locally(loaded: LoadedExperiment, *, place: Place | None = Place.MACHINE) -> LocalPlan:
    """Return the plan of an experiment for this machine; without a place, for the one that can do most.

    Raises:
        CommandError: the spec asks for what cannot be done here, the corpus cannot be read, or the sweep is empty.
    """
    spec = loaded.experiment.spec
    _refuse_unsupported(loaded, place or Place.RAY)
    fingerprint = _corpus_fingerprint(spec)
    try:
        plan = plan_trials(spec, corpus_fingerprint=fingerprint)
    except InvalidExperimentError as error:
        raise loaded.source.error(error.problems) from None
    lanes = max(_lanes(spec), *(trial.compute.workers for trial in plan.trials))
    return LocalPlan(loaded.experiment, plan, fingerprint, lanes, estimate_of(plan.trials, spec, lanes=lanes), place)


def estimate_of(trials: Sequence[TrialSpec], spec: ExperimentSpec, *, lanes: int) -> Estimate:
    """Return what these trials take on so many lanes."""
    return estimate(
        Plan(trials=tuple(trials)),
        lanes=lanes,
        evaluation_sequences=spec.training.evaluation_sequences,
        pools=spec.execution.pools,
    )


def plan_as_json(local: LocalPlan) -> dict[str, Any]:
    """Return the plan as JSON values."""
    plan = local.plan
    return {
        "experiment": local.experiment.metadata.name,
        "corpusFingerprint": local.corpus_fingerprint,
        "trialCount": len(plan.trials),
        "points": len(plan.points),
        "kinds": kinds_of(plan.trials),
        "trainingFlops": plan.training_flops,
        "lanes": local.lanes,
        "estimate": {
            "seconds": local.estimate.seconds,
            "acceleratorHours": local.estimate.accelerator_hours,
            "cost": local.estimate.cost,
        },
        "leftOut": list(plan.left_out),
        "notes": list(notes_on(local)),
        "trials": [trial.model_dump(mode="json") for trial in plan.trials],
    }


def kinds_of(trials: Sequence[TrialSpec]) -> dict[str, int]:
    """Return how many trials there are of each kind."""
    return dict(Counter(trial.kind.value for trial in trials))


def _refuse_unsupported(loaded: LoadedExperiment, place: Place) -> None:
    spec = loaded.experiment.spec
    if problems := (*unsupported(spec, place=place), *unfittable(spec)):
        raise loaded.source.error(problems)


def notes_on(local: LocalPlan) -> tuple[str, ...]:
    """Return sentences on what will not work out, or has no effect, before anything is spent."""
    spec = local.experiment.spec
    return (
        *unused(spec), *_beyond_budget(local), *_shared_models(local), *_hopeless_laws(local), *_never_fitted(local)
    )  # fmt: skip


def notes_for_cluster(loaded: LoadedExperiment) -> tuple[str, ...]:
    """Return those sentences that are true of a cluster too; the corpus is not read: no count depends on it."""
    from scaling_operator.planning import UNKNOWN_CORPUS

    spec = loaded.experiment.spec
    try:
        plan = plan_trials(spec, corpus_fingerprint=UNKNOWN_CORPUS)
    except InvalidExperimentError as error:
        return tuple(ended(str(problem)) for problem in error.problems)
    took = estimate_of(plan.trials, spec, lanes=1)
    local = LocalPlan(loaded.experiment, plan, UNKNOWN_CORPUS, 1, took, Place.CLUSTER)
    return (*unused(spec, place=Place.CLUSTER), *_hopeless_laws(local), *_never_fitted(local))


def _beyond_budget(local: LocalPlan) -> Iterator[str]:
    budget = local.experiment.spec.budget
    if budget == Budget():
        return
    from scaling_operator.budget import below_plan

    took = local.estimate
    plan = PlanStatus(
        trials=len(local.plan.trials),
        points=len(local.plan.points),
        training_flops=local.plan.training_flops,
        accelerator_hours=took.accelerator_hours,
        cost=took.cost,
    )
    if (sentence := below_plan(budget, plan)) is not None:
        yield sentence


def _never_fitted(local: LocalPlan) -> Iterator[str]:
    spec = local.experiment.spec
    yield from never_fitted(spec.laws, local.plan)
    yield from never_answered(spec)


def _shared_models(local: LocalPlan) -> Iterator[str]:
    workers = max((trial.compute.workers for trial in local.plan.trials), default=1)
    if local.place is None and workers > 1:
        yield f"Models that {workers} workers share need `scaling run --executor ray`, or a cluster."


def _hopeless_laws(local: LocalPlan) -> Iterator[str]:
    laws = [law.name for law in local.experiment.spec.laws if law.form == JOINT or has_dense_surface(law.form)]
    dense = local.plan.dense
    axes = (("N", {t.parameters.matmul for t in dense}), ("D", {t.tokens for t in dense}))
    for axis, values in axes if laws else ():
        if len(values) == 1:
            yield (
                f"All dense points have {axis} = {values.pop():,}: how the loss depends on {axis} cannot be told, and "
                f"{', '.join(laws)} will be refused. Add values of {axis} to the sweep."
            )
    yield from _weak_laws(local, laws)
    if laws and len(dense) < FEWEST_POINTS:
        yield (
            f"The sweep has {len(dense)} dense points; {', '.join(laws)} needs at least {FEWEST_POINTS}. Add sizes, "
            "token counts or seeds."
        )


def _weak_laws(local: LocalPlan, laws: Sequence[str]) -> Iterator[str]:
    """Yield what the fitted laws will say against themselves, as far as the plan knows."""
    dense = local.plan.dense
    trajectories = len({trial.trajectory for trial in dense})
    if laws and trajectories < FEWEST_CLUSTERS:
        yield (
            f"The sweep has {trajectories} trunks; intervals need at least {FEWEST_CLUSTERS} (TooFewClusters). Add "
            "seeds or sizes."
        )
    short = [trial for trial in dense if trial.end_step < FEWEST_STEPS]
    if laws and short:
        yield (
            f"{len(short)} of {len(dense)} dense points have fewer than {FEWEST_STEPS:,} steps, which biases exponents "
            "(StepLimited). Ask for more tokens or a smaller training.batchSize."
        )


def _corpus_fingerprint(spec: ExperimentSpec) -> str:
    assert spec.task.language is not None, "no other task can be planned yet"
    corpus = spec.task.language.corpus
    if corpus.uri is None and corpus.fingerprint in {None, PYTHON_CORPUS_FINGERPRINT}:
        return PYTHON_CORPUS_FINGERPRINT
    return _read_fingerprint(corpus)


def _read_fingerprint(corpus: "Corpus") -> str:
    from scaling_trainer.data.corpus import fingerprint

    try:
        return fingerprint(corpus)
    except ImportError as error:
        raise CommandError(f"To read this corpus {error.name} is needed; {INSTALL_TRAINER}.") from None
    except ValueError as error:
        raise CommandError(ended(f"spec.task.language.corpus: {error}")) from None


def _lanes(spec: ExperimentSpec) -> int:
    from scaling_trainer.executors.cores import usable_cores

    cores = usable_cores()
    return min(cores, spec.execution.parallel_trials or cores)


def require_trainer(*, ray: bool = False) -> None:
    """Return if trials can be trained here.

    Args:
        ray: they are to run on Ray.

    Raises:
        CommandError: torch, or Ray, is not installed; the message says how to install it.
    """
    if find_spec("torch") is None or find_spec("torchao") is None:
        raise CommandError(f"Training needs PyTorch and torchao, which are not installed; {INSTALL_TRAINER}.")
    if ray and find_spec("ray") is None:
        raise CommandError(f"The executor ray needs Ray, which is not installed; {INSTALL_TRAINER}.")
