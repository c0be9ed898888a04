"""The cluster's programs, as the supervisor starts and watches them."""

import json
import os
import ssl
import subprocess
import urllib.request
from collections.abc import Callable
from typing import Any

from throwaway.errors import ClusterError
from throwaway.processes import has_ended, wait_until
from throwaway.state import State, tail


class Components:
    """Processes that live and end together: the first that ends is an error that names it."""

    def __init__(self, state: State, keeper: int) -> None:
        """`keeper` is a pidfd of the process whose end is this cluster's end as well."""
        self.state = state
        self._keeper = keeper
        self._names: dict[int, str] = {}

    def start(self, name: str, *arguments: object) -> None:
        """Start a program. The kernel ends it when this process ends."""
        with (self.state.logs / f"{name}.log").open("ab") as log:
            process = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", "--", name, *map(str, arguments)],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            )  # fmt: skip
        self._names[process.pid] = name

    def check(self) -> None:
        """Collect what has ended, pods' orphans too where this process is init.

        Raises:
            ClusterError: A component has ended, or the keeper has.
        """
        while self._names and (ended := os.waitpid(-1, os.WNOHANG))[0]:
            if name := self._names.pop(ended[0], None):
                log = tail(self.state.logs / f"{name}.log")
                raise ClusterError(f"{name} ended with status {os.waitstatus_to_exitcode(ended[1])}:\n{log}")
        if has_ended(self._keeper):
            raise ClusterError("the keeper ended")

    def wait_for(self, what: str, ready: Callable[[], object], *, timeout_s: float = 120) -> None:
        """Return once `ready` holds, as long as all components live."""

        def check() -> object:
            self.check()
            return ready()

        wait_until(check, what, timeout_s=timeout_s)

    def watch(self) -> None:
        """Raise ClusterError as soon as a component or the keeper ends."""
        while not has_ended(self._keeper, within_s=0.2):
            self.check()
        self.check()

    def end(self) -> None:
        """End all that were started."""
        for pid in self._names:
            os.kill(pid, 9)
        for pid in self._names:
            os.waitpid(pid, 0)

    def get(self, path: str) -> Any:
        """Return the API server's answer to a GET, or None while there is none."""
        pki = self.state.pki
        context = ssl.create_default_context(cafile=str(pki / "ca.crt"))
        context.load_cert_chain(pki / "admin.crt", pki / "admin.key")
        server = json.loads(self.state.kubeconfig.read_text())["clusters"][0]["cluster"]["server"]
        try:
            with urllib.request.urlopen(server + path, context=context, timeout=5) as answer:
                return json.loads(answer.read() or "null") if path != "/readyz" else answer.read()
        except OSError:
            return None
