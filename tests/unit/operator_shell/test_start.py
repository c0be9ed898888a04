"""`python -m scaling_operator` where it cannot start: a sentence and status 2, no traceback."""

import os
import subprocess
import sys
from pathlib import Path


def start(folder: Path, **environment: str) -> "subprocess.CompletedProcess[str]":
    bare = {name: value for name, value in os.environ.items() if not name.startswith(("KUBE", "SCALING"))}
    return subprocess.run(
        [sys.executable, "-m", "scaling_operator"],
        env={**bare, "HOME": str(folder), "PYTHONSAFEPATH": "1", **environment},
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_settings_that_cannot_be_used(tmp_path: Path) -> None:
    path = tmp_path / "settings.yaml"
    path.write_text("ports: {metrics: many}\nlease: 7\n")
    done = start(tmp_path, SCALING_SETTINGS=str(path))
    assert done.returncode == 2
    assert "ports.metrics" in done.stderr
    assert "lease" in done.stderr
    assert "Traceback" not in done.stderr


def test_no_cluster(tmp_path: Path) -> None:
    for environment in ({}, {"KUBECONFIG": str(tmp_path / "none")}):
        done = start(tmp_path, **environment)
        assert done.returncode == 2
        assert "There is no API server to speak to" in done.stderr
        assert "Traceback" not in done.stderr
