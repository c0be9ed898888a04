"""The results of an experiment on a cluster, as those of a results folder."""

import sys
from dataclasses import dataclass

from scaling_api.v1alpha1 import ScalingExperiment
from scaling_api.v1alpha1.experiment import Metadata
from scaling_api.v1alpha1.status import TrialState
from scaling_api.v1alpha1.trial import TrialRecord
from scaling_cli.cluster.client import connect
from scaling_cli.cluster.experiments import ClusterExperiment, read_experiment
from scaling_cli.cluster.options import ClusterOptions
from scaling_cli.cluster.trials import read_trials
from scaling_cli.errors import CommandError


@dataclass(frozen=True)
class ClusterResults:
    """An experiment and its trials."""

    cluster_experiment: ClusterExperiment
    records: tuple[TrialRecord, ...]
    """Of the sweep as it is now."""

    @property
    def treatment(self) -> str:
        """The data-quality level that dense laws are fitted on."""
        return self.experiment.spec.sweep.data.treatments[0].name

    @property
    def experiment(self) -> ScalingExperiment:
        """The experiment as a file would say it.

        Raises:
            CommandError: this version of the command does not understand its spec.
        """
        found = self.cluster_experiment
        if found.spec is None:
            raise CommandError(f"The spec of {found.name} is of another version of scaling; install the operator's.")
        return ScalingExperiment(metadata=Metadata(name=found.name, namespace=found.namespace), spec=found.spec)


def read_results(name: str, options: ClusterOptions, *, states: frozenset[str] = frozenset()) -> ClusterResults:
    """Return an experiment's results; what is left out is said on standard error.

    Raises:
        CommandError: there is no such experiment, or its trials can't be read.
    """
    cluster = connect(options)
    experiment = read_experiment(cluster, name)
    found = read_trials(cluster, experiment, states=map(TrialState, states))
    if found.former:
        sys.stderr.write(f"{found.former:,} trials are not of the experiment as it is now: left out.\n")
    if found.unreadable:
        sys.stderr.write(f"{found.unreadable:,} trials are of another version of scaling: left out.\n")
    return ClusterResults(experiment, found.records)
