"""The (model, tokens) that a design asks for, before treatments, seeds and pipelines multiply them."""

from collections.abc import Iterator
from dataclasses import dataclass

from scaling_api.problems import Problem
from scaling_api.v1alpha1.sweep import Design, Sweep
from scaling_api.v1alpha1.trial import ModelShape, ParameterCounts
from scaling_laws.design.architectures import decoder_shape, parameter_counts
from scaling_laws.design.errors import UnplannableError
from scaling_laws.design.flops import training_flops_per_token

MAX_PARAMETERS = 10**13


@dataclass(frozen=True)
class Candidate:
    """One model and the steps it trains for."""

    shape: ModelShape
    counts: ParameterCounts
    steps: int
    wanted_steps: float
    """Before rounding to whole steps."""
    path: str
    """Of the spec's field that asked for it."""


def candidates(sweep: Sweep, *, context: int, tokens_per_step: int) -> Iterator[Candidate]:
    """Yield what the design asks for, limits not yet applied, steps at least 1.

    Raises:
        UnplannableError: a size beyond what the architecture rule covers.
    """
    sizes = sweep.model.parameters if sweep.model else ()
    wanted: list[tuple[int, float, str]]
    match sweep.design:
        case Design.GRID:
            wanted = [(n, d, f"sweep.data.tokens[{i}]") for n in sizes for i, d in enumerate(sweep.data.tokens)]
        case Design.LIST:
            wanted = [(c.parameters, c.tokens, f"sweep.combinations[{i}]") for i, c in enumerate(sweep.combinations)]
        case Design.ISOFLOP:
            wanted = [
                (n, _tokens_of_budget(n, flops, context=context), f"sweep.trainingFlops[{i}]")
                for n in sizes
                for i, flops in enumerate(sweep.training_flops)
            ]
    for parameters, tokens, path in wanted:
        if parameters > MAX_PARAMETERS:
            raise UnplannableError(Problem(path, f"no architecture is planned beyond {MAX_PARAMETERS:.0e} parameters"))
        shape = decoder_shape(parameters, context=context)
        wanted_steps = tokens / tokens_per_step
        steps = max(1, round(wanted_steps))
        counts = parameter_counts(shape)
        yield Candidate(shape=shape, counts=counts, steps=steps, wanted_steps=wanted_steps, path=path)


def _tokens_of_budget(parameters: int, flops: float, *, context: int) -> float:
    """D such that the realised model spends exactly the budget."""
    shape = decoder_shape(parameters, context=context)
    return flops / training_flops_per_token(shape, parameter_counts(shape))
