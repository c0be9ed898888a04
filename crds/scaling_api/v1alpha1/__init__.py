"""API group scalinglaws.dev, version v1alpha1."""

from scaling_api.v1alpha1.experiment import ExperimentSpec, ScalingExperiment
from scaling_api.v1alpha1.trial import ScalingTrial, TrialSpec, TrialStatus

__all__ = ["ExperimentSpec", "ScalingExperiment", "ScalingTrial", "TrialSpec", "TrialStatus"]
