"""`scaling run --executor ray`: the numbers of `scaling run`, its documents, its Ctrl-C; and nothing is left."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from ray_runs import processes_with_token

from scaling_trainer.results import ResultsFolder

TINY = """\
apiVersion: scalinglaws.dev/v1alpha1
kind: ScalingExperiment
metadata: {name: tiny}
spec:
  task: {language: {corpus: {python: {}}, contextLength: 32}}
  sweep:
    model: {parameters: [10k]}
    data: {tokens: [30k, 60k]}
    compression: [{name: dense}, {name: int4, stages: [{quantize: {weightBits: 4}}]}]
  training: {evaluationSequences: 64, warmupSteps: 20}
  execution: {parallelTrials: 2}
"""


def scaling(folder: Path, *arguments: str, token: str = "", tokens: str = "[30k, 60k]") -> "subprocess.Popen[str]":
    folder.mkdir(exist_ok=True)
    (folder / "tiny.yaml").write_text(TINY.replace("[30k, 60k]", tokens))
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    environment |= {"RAY_AUTH_TOKEN": token} if token else {}
    return subprocess.Popen(
        [sys.executable, "-m", "scaling_cli", "run", "tiny.yaml", *arguments],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def test_the_numbers_are_those_of_local_processes_to_the_bit(tmp_path: Path) -> None:
    pytest.importorskip("ray")
    token = "equal" * 8
    local, on_ray = (
        scaling(tmp_path / "a", "--json"),
        scaling(tmp_path / "b", "--json", "--executor", "ray", token=token),
    )
    documents = []
    for process in (local, on_ray):
        output, errors = process.communicate(timeout=300)
        assert process.returncode == 4, errors  # its law is refused: too few points
        documents.append(json.loads(output))
        assert "ray" not in errors.lower()
    assert documents[0]["trials"] == documents[1]["trials"] == {"Succeeded": 6}
    left, right = (ResultsFolder.read(tmp_path / name / "results/tiny") for name in "ab")
    assert left.records().keys() == right.records().keys()
    for id_, record in left.records().items():
        assert right.records()[id_].status.metrics == record.status.metrics
        (mine,), (other,) = (list(f.trial_folder(id_).glob("final/tensors-*")) for f in (left, right))
        assert mine.name == other.name, "the name holds the hash"
    assert processes_with_token(token) == []


def test_ctrl_c_ends_it_and_leaves_nothing(tmp_path: Path) -> None:
    pytest.importorskip("ray")
    token = "ctrl-c" * 8
    process = scaling(tmp_path, "--executor", "ray", token=token, tokens="[3M]")
    journal = tmp_path / "results/tiny/journal/0001.jsonl"
    deadline = time.monotonic() + 120
    while not (journal.exists() and journal.stat().st_size) and time.monotonic() < deadline:
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does: Ray's processes hear it too
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 130, errors
    assert "scaling run tiny.yaml --executor ray" in errors
    assert processes_with_token(token) == []
