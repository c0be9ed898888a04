"""Laws that a sweep can never carry, whatever it measures: what a plan says before anything is spent."""

from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Final, TypeAlias

import numpy as np

from scaling_api.v1alpha1 import ExperimentSpec
from scaling_api.v1alpha1.compression import Stage
from scaling_api.v1alpha1.laws import LawRequest
from scaling_laws.design.plan import Plan
from scaling_laws.fit.compound.isoflop import FEWEST_PER_BUDGET, FEWEST_SIZES, budgets_of

_Check: TypeAlias = Callable[[Plan], str]
"""Returns why a law will be refused, and what to add; empty where the plan does not know."""

_UNMEASURED: Final = MappingProxyType({
    "Mixing": "the shares of domains", "DataConstrained": "the number of unique tokens U",
    "Routed": "the number of experts", "FineGrained": "the granularity G of experts",
    "Distillation": "the loss of a teacher",
})  # fmt: skip
"""What a form needs and no sweep varies."""
_TOLD_BY: Final = MappingProxyType({
    "treatment": frozenset(("Joint", "Linear", "DataQuality")), "pipeline": frozenset(("Joint", "Linear")),
})  # fmt: skip
"""Forms that depend on what two models may differ in, beside N and D."""


def never_fitted(requests: tuple[LawRequest, ...], plan: Plan) -> Iterator[str]:
    """Yield a sentence for each law that will be refused after all training."""
    for law in requests:
        if law.form in _UNMEASURED and not law.features:
            yield (
                f"{law.name} will be refused: {law.form} needs {_UNMEASURED[law.form]}, which a sweep does not have; "
                "`scaling fit` fits it to a table."
            )
        elif why := _CHECKS.get(law.form, _unknown)(plan):
            yield f"{law.name} will be refused: {why}"


def never_answered(spec: ExperimentSpec) -> Iterator[str]:
    """Yield a sentence for each pair of spec.ask.attribute that no law of the spec can tell apart."""
    forms = {law.form for law in spec.laws}
    for index, change in enumerate(spec.ask.attribute):
        differing = [name for name in _TOLD_BY if getattr(change.start, name) != getattr(change.end, name)]
        if unknown := [name for name in differing if not forms & _TOLD_BY[name]]:
            yield (
                f"spec.ask.attribute[{index}] will be refused: its models differ in {' and '.join(unknown)}, which no "
                "law of spec.laws depends on. Add one of form Joint."
            )


def _unknown(plan: Plan) -> str:
    return ""


def _one_number_of_workers(plan: Plan) -> str:
    levels: dict[str, set[int]] = {}
    for trial in plan.trials:
        levels.setdefault(trial.compute.strategy.value, set()).add(trial.compute.workers)
    if any(len(workers) > 1 for workers in levels.values()):
        return ""
    return "all models are trained with one number of workers. Add others to spec.sweep.compute."


def _one_treatment(plan: Plan) -> str:
    if len({trial.treatment.name for trial in plan.dense}) > 1:
        return ""
    return "all models have seen data of one treatment. Add others to spec.sweep.data.treatments."


def _one_strength(plan: Plan) -> str:
    stages = [stage for trial in plan.trials for stage in trial.pipeline.stages]
    if len(_bits(stages)) > 1 or len({stage.prune.sparsity for stage in stages if stage.prune}) > 1:
        return ""
    return "its compressed models have one number of bits and one sparsity at most. Add pipelines with others."


def _bits(stages: list[Stage]) -> set[int]:
    return {stage.quantize.weight_bits for stage in stages if stage.quantize}


def _no_budgets(plan: Plan) -> str:
    dense = plan.dense
    if not dense:
        return ""
    count = int(budgets_of(np.array([trial.cumulative_flops for trial in dense])).max()) + 1
    if len(dense) >= FEWEST_SIZES * count or len(dense) / count >= FEWEST_PER_BUDGET:
        return ""
    return (
        f"the {len(dense)} dense points have {count} amounts of compute, and it needs several sizes at each. Use the "
        "design IsoFLOP, or fit Chinchilla."
    )


_CHECKS: Final[Mapping[str, _Check]] = MappingProxyType({
    "Amdahl": _one_number_of_workers, "Gustafson": _one_number_of_workers,
    "ParallelEfficiency": _one_number_of_workers, "UniversalScalability": _one_number_of_workers,
    "DataQuality": _one_treatment, "Compression": _one_strength, "ChinchillaIsoFLOP": _no_budgets,
})  # fmt: skip
