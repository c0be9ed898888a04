"""What an operator writes, and a cluster that is never asked."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

sys.path[:0] = [str(Path(__file__).parents[2] / "control_cli")]

from scaling_api.v1alpha1.status import ExperimentStatus  # noqa: E402
from scaling_cli.cluster.experiments import ClusterExperiment  # noqa: E402

Made = Callable[..., ClusterExperiment]


@pytest.fixture
def made() -> Made:
    """Return an experiment as the API server would, with this status."""

    def make(status: ExperimentStatus | None = None, *, generation: int = 1, **spec: Any) -> ClusterExperiment:
        import quickstart_sweep

        question = quickstart_sweep.experiment().model_dump(mode="json", exclude_unset=True)["spec"]
        manifest: dict[str, Any] = {
            "metadata": {
                "name": "quickstart",
                "namespace": "ml",
                "uid": "u-1",
                "generation": generation,
                "creationTimestamp": "2026-11-23T11:40:00Z",
            },
            "spec": {**question, **spec},
        }
        if status is not None:
            manifest["status"] = status.model_dump(mode="json", exclude_none=True)
        return ClusterExperiment(manifest)

    return make
