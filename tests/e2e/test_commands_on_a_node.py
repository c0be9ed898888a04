"""What a person types, on a real node: apply and wait, look, read the driver's log, export, report."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from documents import small, written
from installation import Site


def scaling(site: Site, namespace: str, folder: Path, *words: object) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "scaling_cli", "-n", namespace, *map(str, words)]
    env = {**os.environ, **site.server.env, "COLUMNS": "130"}
    return subprocess.run(command, env=env, cwd=folder, text=True, capture_output=True, timeout=900, check=False)


def test_from_apply_to_report_through_the_api_server_alone(site: Site, namespace: str, tmp_path: Path) -> None:
    file = written(small(), tmp_path)
    name = small()["metadata"]["name"]
    applying = subprocess.Popen(
        [sys.executable, "-m", "scaling_cli", "-n", namespace, "apply", str(file), "--wait", "--timeout", "15m"],
        env={**os.environ, **site.server.env}, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    try:
        log = driver_log(site, namespace, name, tmp_path, applying)
        laws, progress = applying.communicate(timeout=900)
    finally:
        applying.kill()
        applying.wait(10)
    assert applying.returncode == 0, progress
    assert "listening on" in log
    assert "Running: " in progress
    assert "coefficient" in laws
    found = json.loads(scaling(site, namespace, tmp_path, "status", name, "-o", "json").stdout)
    assert (found["state"], found["notSeen"]) == ("Complete", [])
    assert scaling(site, namespace, tmp_path, "trials", name, "-o", "csv", "--to", "trials.csv").returncode == 0
    (law,) = found["status"]["laws"]
    fit = scaling(site, namespace, tmp_path, "fit", "trials.csv", "--form", law["form"], "--json")
    fitted = json.loads(fit.stdout)["coefficients"]
    assert {c["name"]: c["value"] for c in law["coefficients"]} == pytest.approx(
        {key: value["value"] for key, value in fitted.items()}, rel=1e-9
    )
    assert scaling(site, namespace, tmp_path, "report", name).stdout == f"{name}.html\n"
    assert (tmp_path / f"{name}.html").stat().st_size > 100_000


def driver_log(site: Site, namespace: str, name: str, folder: Path, applying: "subprocess.Popen[str]") -> str:
    """Return the driver's log, as soon as it says anything of its own."""
    log = ""
    while applying.poll() is None and "listening on" not in log:
        log = scaling(site, namespace, folder, "logs", name).stdout
    return log
