"""The command, as it is typed."""

import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

from typer.testing import CliRunner, Result

BIN = Path(sys.executable).parent


@dataclass
class Shell:
    """Runs the command, in this process or in one of its own."""

    namespace: str
    env: dict[str, str]
    folder: Path
    started: list[subprocess.Popen[str]] = field(default_factory=list)

    def __call__(self, *words: object, document: str = "") -> Result:
        """Run it in this process; bugs raise."""
        from scaling_cli.__main__ import app

        result = CliRunner().invoke(app, ["-n", self.namespace, *map(str, words)], input=document, env=self.env)
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    def start(self, *words: object) -> subprocess.Popen[str]:
        """Start it as a process of its own."""
        command = [sys.executable, "-m", "scaling_cli", "-n", self.namespace, *map(str, words)]
        process = subprocess.Popen(
            command, env={**os.environ, **self.env}, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            cwd=self.folder,
        )  # fmt: skip
        self.started.append(process)
        return process
