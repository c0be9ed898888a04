"""From a spec to a plan: which trials, how large, in which order, at what price."""

from scaling_laws.design.errors import UnplannableError
from scaling_laws.design.plan import Plan, plan_trials

__all__ = ["Plan", "UnplannableError", "plan_trials"]
