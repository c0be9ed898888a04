"""A trial's id: a hash of everything that changes its numbers, and of nothing else.

Names, limits, budgets, pools and the rest of the sweep do not enter: the same trial in another experiment has the
same id. The recipe version stands for the code: it grows when a change of the trainer changes losses.
"""

import hashlib
import json

from pydantic import BaseModel

from scaling_api.v1alpha1.compression import Pipeline
from scaling_api.v1alpha1.experiment import ExperimentSpec
from scaling_api.v1alpha1.sweep import ComputeLevel, Treatment
from scaling_api.v1alpha1.trial import ModelShape

RECIPE_VERSION = 1


def base_identity(spec: ExperimentSpec, *, corpus_fingerprint: str) -> str:
    """Return the hash of what all trunks of an experiment share: task, corpus and training recipe."""
    task = spec.task.model_dump(mode="json", exclude_none=True)
    task.get("language", {}).pop("corpus", None)  # its content counts, not where it lies
    training = spec.training.model_dump(mode="json", exclude={"decay_fraction", "evaluation_sequences"})
    return digest(recipe=RECIPE_VERSION, task=task, corpus=corpus_fingerprint, training=training)


def trunk_identity(
    base: str, shape: ModelShape, *, treatment: Treatment, compute: ComputeLevel, hardware: str | None, seed: int
) -> str:
    """Return the hash of a trajectory: the model, the data it sees, and the world that trains it.

    `hardware` is None but for a repetition of the same world on another pool.
    """
    return digest(
        base=base,
        model=shape.model_dump(mode="json"),
        treatment=_content(treatment),
        world=[compute.workers, compute.strategy.value if compute.workers > 1 else None, hardware],
        seed=seed,
    )


def segment_identity(trunk: str, *, end: int) -> str:
    """Return the id of a trunk segment: where it starts does not change the weights at its end."""
    return digest(kind="trunk", trunk=trunk, end=end)[:16]


def branch_identity(trunk: str, *, start: int, end: int, evaluation_sequences: int) -> str:
    """Return the id of a dense point."""
    return digest(kind="dense", trunk=trunk, start=start, end=end, evaluation=evaluation_sequences)[:16]


def pipeline_identity(parent: str, pipeline: Pipeline) -> str:
    """Return the id of a compressed point or a control."""
    return digest(kind="pipeline", parent=parent, stages=_content(pipeline)["stages"])[:16]


def digest(**parts: object) -> str:
    """Return the SHA-256 of `parts` as canonical JSON."""
    text = json.dumps(parts, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def _content(level: BaseModel) -> dict[str, object]:
    """What a level does, without its name; unset options left out so that new ones keep old ids."""
    content: dict[str, object] = level.model_dump(mode="json", exclude_none=True, exclude={"name"})
    return content
