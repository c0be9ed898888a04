"""Which trials a budget that is below the plan is spent on."""

from collections.abc import Callable, Sequence

from scaling_api.v1alpha1.trial import TrialKind, TrialSpec


def cheapest_points(
    trials: Sequence[TrialSpec], *, needed_flops: Callable[[TrialSpec], float], left_flops: float
) -> frozenset[str] | None:
    """Return the ids of the trials to run: the cheapest points, each with all that it starts from.

    Longest paths come first where all is run. Where the budget ends the sweep, that order would spend it on trunks of
    the largest models, whose points come too late: nothing could be fitted. The cheapest points are the most points,
    of several sizes and several token counts.

    Args:
        trials: the plan, parents before children.
        needed_flops: what is still to be spent on a trial; 0 for one that has its result.
        left_flops: of the budget.

    Returns:
        None where the budget has room for all.
    """
    prices = {trial.id: needed_flops(trial) for trial in trials}
    if sum(prices.values()) <= left_flops:
        return None
    needs = _needs(trials)
    used = {parent for trial in trials for parent in trial.parents}
    points = [trial.id for trial in trials if trial.kind is not TrialKind.TRUNK or trial.id not in used]
    bought: set[str] = set()
    for point in sorted(points, key=lambda id_: sum(prices[need] for need in needs[id_])):
        missing = needs[point] - bought
        price = sum(prices[need] for need in missing)
        if price <= left_flops:
            bought |= missing
            left_flops -= price
    return frozenset(bought)


def _needs(trials: Sequence[TrialSpec]) -> dict[str, frozenset[str]]:
    """Return what each trial is of no use without: itself, what it starts from, and what it is compared with."""
    chains: dict[str, frozenset[str]] = {}
    for trial in trials:
        chains[trial.id] = frozenset({trial.id}).union(*(chains.get(parent, ()) for parent in trial.parents))
    return {trial.id: chains[trial.id].union(chains.get(trial.control or "", ())) for trial in trials}
