"""What planning refuses."""

from scaling_api.problems import InvalidExperimentError


class UnplannableError(InvalidExperimentError):
    """The spec is valid, but no plan can be made from it; `problems` says why."""
