"""What a plan says of laws that its sweep can never carry."""

from pathlib import Path

import pytest
from cli_testing import EXPERIMENT, Scaling, write


def said(scaling: Scaling, tmp_path: Path, form: str, text: str = EXPERIMENT) -> str:
    result = scaling("plan", write(tmp_path, text.replace("form: Linear", f"form: {form}")))
    assert result.exit_code == 0, result.stderr
    return " ".join(result.stdout.split())


@pytest.mark.parametrize(
    ("form", "why"),
    [
        ("Mixing", "Mixing needs the shares of domains, which a sweep does not have"),
        ("Routed", "Routed needs the number of experts"),
        ("Amdahl", "all models are trained with one number of workers. Add others to spec.sweep.compute."),
        ("DataQuality", "one treatment. Add others to spec.sweep.data.treatments."),
        ("Compression", "one number of bits and one sparsity at most"),
        ("ChinchillaIsoFLOP", "amounts of compute, and it needs several sizes at each. Use the design IsoFLOP"),
    ],
)
def test_a_law_without_its_data_is_announced(form: str, why: str, scaling: Scaling, tmp_path: Path) -> None:
    shown = said(scaling, tmp_path, form)
    assert "linear will be refused: " in shown
    assert why in shown


@pytest.mark.parametrize(
    ("form", "old", "new"),
    [
        ("Linear", "", ""),
        ("Amdahl", "seeds: 2", "compute: [{workers: 1}, {workers: 2}]"),
        ("DataQuality", "2M]}", "2M], treatments: [{name: clean}, {name: noisy, tokenNoise: 0.1}]}"),
        ("Compression", "- {name: int3", "- {name: int4, stages: [{quantize: {weightBits: 4}}]}\n    - {name: int3"),
        ("ChinchillaIsoFLOP", "data: {tokens: [0.5M, 0.8M, 1.25M, 2M]}",
         "design: IsoFLOP\n    trainingFlops: [1e11, 3e11]\n    data: {}"),
    ],
)  # fmt: skip
def test_a_law_with_its_data_is_not(form: str, old: str, new: str, scaling: Scaling, tmp_path: Path) -> None:
    assert old in EXPERIMENT
    assert "will be refused" not in said(
        scaling, tmp_path, form, EXPERIMENT.replace(old, new, 1) if old else EXPERIMENT
    )


@pytest.mark.parametrize(("form", "is_refused"), [("Chinchilla", True), ("Joint", False), ("Linear", False)])
def test_pairs_that_no_law_tells_apart_are_announced(
    form: str, is_refused: bool, scaling: Scaling, tmp_path: Path
) -> None:
    ask = "attribute: [{from: {parameters: 20k, tokens: 1M, pipeline: int3}, to: {parameters: 20k, tokens: 1M}}]"
    start = EXPERIMENT.partition("  laws:")[0]
    laws = f"  ask: {{{ask}}}\n  laws:\n  - {{name: only, form: {form}}}\n"
    result = scaling("plan", write(tmp_path, start + laws))
    assert result.exit_code == 0, result.stderr
    shown = " ".join(result.stdout.split())
    assert ("spec.ask.attribute[0] will be refused: its models differ in pipeline" in shown) is is_refused
