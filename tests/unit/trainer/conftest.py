"""A small corpus and experiments on it, so that trials take fractions of a second."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from scaling_api.v1alpha1.experiment import ExperimentSpec


def made_up_text(*, documents: int, seed: int = 0, words: int = 400) -> list[str]:
    """Sentences of a made-up language: learnable, without long repetitions."""
    random = np.random.default_rng(seed)
    vocabulary = ["".join(random.choice(list("abcdefghijklmnop"), size=random.integers(2, 8))) for _ in range(300)]
    shares = 1 / np.arange(1, 301)
    return [" ".join(random.choice(vocabulary, size=words, p=shares / shares.sum())) + "\n" for _ in range(documents)]


@pytest.fixture(scope="session")
def documents() -> Callable[..., list[bytes]]:
    """Documents of a made-up language."""
    return lambda count, *, seed=0: [text.encode() for text in made_up_text(documents=count, seed=seed)]


@pytest.fixture(scope="session")
def corpus_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("corpus")
    for index, text in enumerate(made_up_text(documents=80)):
        (folder / f"{index:03d}.txt").write_text(text)
    return folder


@pytest.fixture
def experiment(corpus_folder: Path) -> Callable[..., ExperimentSpec]:
    def build(
        *, tokens: tuple[int, ...] = (10_240,), parameters: tuple[int, ...] = (10_000,), compression: Any = (),
        training: Any = None, seeds: int = 1, treatments: Any = ({"name": "clean"},), context: int = 16,
    ) -> ExperimentSpec:  # fmt: skip
        recipe = {"batchSize": 8, "warmupSteps": 5, "evaluationSequences": 64, "heldOutFraction": 0.2}
        return ExperimentSpec.model_validate(
            {
                "task": {"language": {"corpus": {"uri": str(corpus_folder)}, "contextLength": context}},
                "sweep": {
                    "model": {"parameters": parameters},
                    "data": {"tokens": tokens, "treatments": treatments},
                    "compression": [{"name": "dense"}, *compression],
                    "seeds": seeds,
                },
                "training": recipe | (training or {}),
            }
        )

    return build


@pytest.fixture(autouse=True)
def _one_thread() -> Any:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
