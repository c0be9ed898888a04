"""The README's experiment on a node: what `scaling run` finds, in little more time."""

import json
import time
from collections.abc import Callable
from pathlib import Path

from documents import Document, Run
from installation import REPOSITORY, Site
from local_run import assert_same, run_here
from ruamel.yaml import YAML

QUICKSTART = REPOSITORY / "examples/quickstart.yaml"
FIRST_STEP_WITHIN_S = 60
SLOWER = 1.5


def first_step(results: Path) -> float:
    """Return the latest time, in seconds since the epoch, at which the first training step was begun.

    A trial's result is written after all its steps, its evaluation and its checkpoint.
    """

    def begun(result: Path) -> float:
        timings = json.loads(result.read_text())["status"]["timings"]
        return result.stat().st_mtime - float(timings["trainingSeconds"])

    return min(begun(result) for result in results.rglob("result.json"))


def test_the_quickstart_comes_to_what_scaling_run_comes_to(
    run: Run, site: Site, namespace: str, tmp_path: Path, say: Callable[[str], None]
) -> None:
    document: Document = YAML(typ="safe", pure=True).load(QUICKSTART)
    cores = int(site.values.get("settings", {}).get("defaultPool", {}).get("resources", {}).get("cpu", 2))
    here = run_here(QUICKSTART, tmp_path / "results", cores=cores)
    applied = time.time()
    experiment = run(document)
    experiment.wait_for("Complete", timeout_s=1800)
    seconds = time.time() - applied
    assert_same(experiment, here)
    if site.results:
        first = first_step(site.results / namespace) - applied
        say(
            f"{cores} cores: {here.seconds:.0f} s here; on the node {seconds:.0f} s, the first step after {first:.0f} s"
        )
        assert first <= FIRST_STEP_WITHIN_S
        assert seconds <= SLOWER * here.seconds + first
