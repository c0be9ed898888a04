"""What the driver is told when it starts: options, or variables of the environment with their names."""

import argparse
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from scaling_api.driver_protocol import PORT

_VARIABLES: Final = {
    "storage": "SCALING_STORAGE",
    "experiment": "SCALING_EXPERIMENT",
    "namespace": "SCALING_NAMESPACE",
    "name": "SCALING_NAME",
    "token_file": "SCALING_TOKEN_FILE",
}
OWN_RAY: Final = "local"
"""In place of an address: a Ray of the driver's own on its machine."""
_SHORTEST_TOKEN: Final = 16
_UNANSWERED_S: Final = 6 * 3600.0


class UsageError(ValueError):
    """The driver cannot start as it was told; the sentence says why."""


@dataclass(frozen=True)
class Options:
    """What the driver is told when it starts."""

    storage: str
    """URI or path."""
    experiment: str
    """uid."""
    namespace: str
    name: str
    token_file: Path
    host: str
    port: int
    scratch: Path
    """Folder of each node for what trials need while they run."""
    executor: str
    """ray or local."""
    run: str | None
    """The function that runs a trial, as module:function; the trainer's, without it."""
    ray_address: str
    lanes: int | None
    """Of the local executor, at most."""
    checkpoint_interval_s: float
    unanswered_s: float
    """With nothing to do and nobody asking for so long, the driver exits."""

    def token(self) -> bytes:
        """Return the token that every request must have.

        Raises:
            UsageError: there is none, or one that could be guessed.
        """
        try:
            token = self.token_file.read_bytes().strip()
        except OSError as error:
            raise UsageError(f"The token cannot be read from {self.token_file}: {error.strerror}.") from error
        if len(token) < _SHORTEST_TOKEN:
            raise UsageError(f"The token in {self.token_file} has fewer than {_SHORTEST_TOKEN} characters.")
        return token


def parse_options(words: Sequence[str]) -> Options:
    """Return the options on a command line, completed from the environment.

    Raises:
        UsageError: one is missing.
        SystemExit: one cannot be understood, or help was asked for.
    """
    found = vars(_parser().parse_args(words))
    for name, variable in _VARIABLES.items():
        found[name] = found[name] or os.environ.get(variable)
        if not found[name]:
            raise UsageError(f"The option --{name.replace('_', '-')} is missing (or the variable {variable}).")
    found["token_file"] = Path(found["token_file"])
    found["scratch"] = Path(found["scratch"]).absolute()
    return Options(**found)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m scaling_trainer.driver",
        description="Run the trials of one experiment, journal them to storage and serve the rows.",
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("--storage", help="where results are kept: a folder, s3://bucket/prefix, gs://bucket/prefix")
    add("--experiment", metavar="UID", help="the experiment's uid")
    add("--namespace", help="the experiment's namespace")
    add("--name", help="the experiment's name")
    add("--token-file", metavar="PATH", help="file with the token that every request must have")
    add("--host", default="0.0.0.0", help="address to listen on (default: all)")
    add("--port", type=int, default=PORT, help="port to listen on (default: %(default)s)")
    add("--scratch", default="/tmp/scaling", help="folder of each node for running trials (default: %(default)s)")
    add("--executor", choices=("ray", "local"), default="ray", help="what runs trials (default: %(default)s)")
    add("--run", metavar="MODULE:FUNCTION", help="runs a trial in place of the trainer, for tests")
    add("--ray-address", metavar="ADDRESS", default="auto", help=f"of the Ray cluster, or {OWN_RAY} for its own Ray")
    add("--lanes", type=int, help="of the local executor: trials at a time (default: one a core)")
    add("--checkpoint-interval-s", type=float, default=15.0, help="between checkpoints (default: %(default)s)")
    add("--unanswered-s", type=float, default=_UNANSWERED_S, help=argparse.SUPPRESS)
    return parser
