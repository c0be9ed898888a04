"""Reading a ScalingExperiment: what the API server let pass may still be of another version, or edited by hand."""

import logging
from typing import Any

from pydantic import ValidationError

from scaling_api.problems import Problem, problems_of
from scaling_api.v1alpha1.experiment import ExperimentSpec
from scaling_api.v1alpha1.status import ExperimentStatus
from scaling_operator.cluster.recall import SpecRead
from scaling_operator.desired.manifest import Manifest
from scaling_operator.observed import Identity

logger = logging.getLogger(__name__)


def identity_of(manifest: Manifest) -> Identity:
    """Return which experiment it is."""
    metadata = manifest["metadata"]
    return Identity(metadata["namespace"], metadata["name"], metadata["uid"], int(metadata.get("generation", 0)))


def read_spec(manifest: Manifest) -> SpecRead:
    """Return the spec, or every problem that it has."""
    generation = int(manifest["metadata"].get("generation", 0))
    try:
        return SpecRead(generation, ExperimentSpec.model_validate(manifest.get("spec", {})))
    except ValidationError as error:
        problems = tuple(Problem(f"spec.{p.path}" if p.path else "spec", p.message) for p in problems_of(error))
        return SpecRead(generation, None, problems)


def read_status(manifest: Manifest) -> ExperimentStatus:
    """Return the status as last written; a field of it that is no longer valid counts as absent."""
    found = manifest.get("status") or {}
    try:
        return ExperimentStatus.model_validate(found)
    except ValidationError:
        name = manifest["metadata"]["name"]
        logger.warning("The status of %s is not as it was written; what is not valid in it is left out", name)
        valid = {field: value for field, value in found.items() if _is_valid(field, value)}
        return ExperimentStatus.model_validate(valid)


def _is_valid(field: str, value: Any) -> bool:
    try:
        ExperimentStatus.model_validate({field: value})
    except ValidationError:
        return False
    return True
