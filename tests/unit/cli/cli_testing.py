"""What the tests of the command share."""

from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

from typer.testing import Result

Scaling: TypeAlias = Callable[..., Result]
"""Runs the command in this process."""

EXPERIMENT = """\
apiVersion: scalinglaws.dev/v1alpha1
kind: ScalingExperiment
metadata: {name: tiny}
spec:
  task:
    language: {corpus: {python: {}}, contextLength: 64}
  sweep:
    model: {parameters: [10k, 20k, 33k, 115k]}
    data: {tokens: [0.5M, 0.8M, 1.25M, 2M]}
    seeds: 2
    compression:
    - {name: dense}
    - {name: int3, stages: [{quantize: {weightBits: 3}}]}
    - {name: p50, stages: [{prune: {sparsity: 0.5}}, {finetune: {fraction: 0.1}}]}
  laws:
  - {name: chinchilla, form: Chinchilla, bootstrap: 100}
  - {name: pillars, form: Joint, bootstrap: 100}
  - {name: linear, form: Linear, bootstrap: 100}
  ask:
    trainingFlops: [1e13]
    servingMemory: [16Ki]
"""


def write(folder: Path, text: str | bytes, name: str = "e.yaml") -> Path:
    """Write a file and return its path."""
    path = folder / name
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path
