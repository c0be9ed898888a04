"""What `scaling apply` says of a sweep is what `scaling plan` says, less what concerns this machine alone."""

from pathlib import Path

import quickstart_sweep as sweep

from scaling_cli.experiments import LoadedExperiment, load_experiment
from scaling_cli.planning import notes_for_cluster, notes_on, plan_locally

SIZES = ("parameters: [10k, 33k, 115k, 250k]", "parameters: [10k]")


def loaded(folder: Path, *changes: tuple[str, str]) -> LoadedExperiment:
    text = sweep.FILE.read_text()
    for old, new in changes:
        assert old in text, text
        text = text.replace(old, new)
    path = folder / "question.yaml"
    path.write_text(text)
    return load_experiment(str(path))


def test_a_good_sweep_gets_no_note(tmp_path: Path) -> None:
    assert notes_for_cluster(loaded(tmp_path)) == ()


def test_a_law_that_will_be_refused_is_told_in_the_words_of_the_plan(tmp_path: Path) -> None:
    hopeless = loaded(tmp_path, SIZES, ("seeds: 2", "seeds: 1"))
    notes = notes_for_cluster(hopeless)
    assert "will be refused. Add values of N to the sweep." in " ".join(notes)
    assert "intervals need at least 6" in " ".join(notes)
    assert notes == notes_on(plan_locally(hopeless))


def test_what_concerns_this_machine_alone_is_left_out(tmp_path: Path) -> None:
    pools = ("  laws:\n", "  execution: {pools: [{name: a}]}\n  budget: {cost: 5}\n  laws:\n")
    assert notes_for_cluster(loaded(tmp_path, pools)) == (
        "spec.budget.cost has no effect here: no pool has an hourlyPrice.",
    )


def test_a_sweep_without_trials_is_said_and_nothing_is_raised(tmp_path: Path) -> None:
    limits = ("    seeds: 2\n", "    seeds: 2\n    limits: {tokensPerParameter: {min: 1.0e+6}}\n")
    (note,) = notes_for_cluster(loaded(tmp_path, limits))
    assert "the sweep is empty" in note
