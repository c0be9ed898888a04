"""An experiment on the cluster, as its user sees it."""

import json
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from throwaway.api_server import ApiServer

Document = dict[str, Any]


@dataclass(frozen=True)
class Experiment:
    """One ScalingExperiment."""

    server: ApiServer
    namespace: str
    name: str

    def kubectl(self, *words: str, document: str = "") -> subprocess.CompletedProcess[str]:
        """Run kubectl in the experiment's namespace."""
        return self.server.kubectl("-n", self.namespace, *words, document=document)

    def must(self, *words: str) -> str:
        """Run kubectl in the experiment's namespace and return what it said."""
        return self.server.must("-n", self.namespace, *words)

    def get(self) -> Document:
        """Return the object."""
        return self._json("scalingexperiment", self.name)

    def exists(self) -> bool:
        """Return whether it is there."""
        return bool(self.must("get", "scalingexperiment", self.name, "--ignore-not-found"))

    def trials(self) -> dict[str, Document]:
        """Return its trials' records by id."""
        listed = self._json("scalingtrials", "-l", f"scalinglaws.dev/experiment={self.name}")["items"]
        return {trial["spec"]["id"]: trial for trial in listed}

    def finished(self) -> int:
        """Return how many trials have succeeded."""
        return int(self.get().get("status", {}).get("trials", {}).get("succeeded", 0))

    def losses(self) -> dict[str, float]:
        """Return the losses of the points, by trial id."""
        measured = {name: trial["status"].get("metrics") or {} for name, trial in self.trials().items()}
        return {name: metrics["loss"] for name, metrics in sorted(measured.items()) if "loss" in metrics}

    def coefficients(self) -> dict[str, dict[str, float]]:
        """Return the laws' coefficients: name of the law, name of the coefficient, value."""
        laws = self.get()["status"]["laws"]
        return {law["name"]: {each["name"]: each["value"] for each in law.get("coefficients", [])} for law in laws}

    def pods(self, node_type: str) -> list[str]:
        """Return the names of its living head or worker pods."""
        listed = self._json("pods", "-l", f"ray.io/node-type={node_type}")["items"]
        return [pod["metadata"]["name"] for pod in listed if not pod["metadata"].get("deletionTimestamp")]

    def condition(self, kind: str) -> Document:
        """Return a condition; an empty one where it is not said."""
        said = self.get().get("status", {}).get("conditions", [])
        return next((condition for condition in said if condition["type"] == kind), {})

    def holds(self, kind: str) -> bool:
        """Return whether a condition is True."""
        return bool(self.condition(kind).get("status") == "True")

    def wait_until(self, claim: Callable[["Experiment"], object], what: str, *, timeout_s: float) -> float:
        """Return after how many seconds the claim holds.

        Raises:
            AssertionError: The experiment has failed, or the time is over.
        """
        began = time.monotonic()
        while not claim(self):
            failed = self.condition("Failed") if self.exists() else {}
            assert failed.get("status") != "True", f"{self.name} failed: {failed}"
            waited = time.monotonic() - began
            assert waited < timeout_s, f"waited {waited:.0f} s in vain for {what} of {self.name}"
            time.sleep(0.5)
        return time.monotonic() - began

    def wait_for(self, kind: str, *, timeout_s: float) -> float:
        """Return after how many seconds a condition is True."""
        return self.wait_until(lambda experiment: experiment.holds(kind), kind, timeout_s=timeout_s)

    def patch(self, spec: Document) -> None:
        """Change the spec."""
        self.must("patch", "scalingexperiment", self.name, "--type=merge", "-p", json.dumps({"spec": spec}))

    def delete(self) -> None:
        """Delete it, without waiting."""
        self.must("delete", "scalingexperiment", self.name, "--wait=false")

    def _json(self, *words: str) -> Document:
        read: Document = json.loads(self.must("get", *words, "-o", "json"))
        return read


def applied(server: ApiServer, namespace: str, document: Document) -> Experiment:
    """Apply an experiment as a user does."""
    done = server.kubectl("-n", namespace, "apply", "-f", "-", document=json.dumps(document))
    assert done.returncode == 0, done.stderr
    return Experiment(server, namespace, document["metadata"]["name"])
