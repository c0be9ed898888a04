"""Results of an earlier pilot, reproduced within their spread or bettered. Minutes: `pytest -m slow`."""

import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).resolve().parents[3] / "benchmarks" / "trainer"))

import reference_results as pilot


@pytest.mark.slow
def test_branches_quantization_and_pruning_are_like_the_pilots(tmp_path: Path) -> None:
    found = pilot.losses(pilot.library_source(tmp_path / "library.txt"), tmp_path / "results")
    longest = max(pilot.STEPS)
    dense = found[longest, "dense"]
    # the pilot's first branches are further behind: its rate was not scaled, its embedding started small
    assert all(found[steps, "dense"] < loss + 0.03 for steps, loss in pilot.BRANCHES.items())
    assert dense == pytest.approx(pilot.BRANCHES[longest], abs=0.03)
    quantized = [found[longest, f"int{bits}"] - dense for bits in pilot.QUANTIZED]
    assert quantized == sorted(quantized)
    assert all(ours < theirs + 0.003 for ours, theirs in zip(quantized, pilot.QUANTIZED.values(), strict=True))
    assert all(found[longest, f"p{p}"] - dense < theirs for p, theirs in pilot.PRUNED.items())
    assert all(found[longest, f"p{p}-tuned"] - dense < theirs + 0.04 for p, theirs in pilot.TUNED.items())
