"""What a driver says goes to the log of its container too, where `kubectl logs` finds it: Ray keeps it in a file."""

import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import BinaryIO, Final

_FIRST_PROCESS: Final = "/proc/1/fd/1"
"""Standard output of the container's first process, which the container's runtime reads."""
_IN_A_HEAD: Final = "KUBERAY_GEN_RAY_START_CMD"
"""KubeRay sets it in its containers. Elsewhere the first process belongs to someone else."""


def outputs() -> tuple[int, ...]:
    """Return the file descriptors that a driver's words are written to."""
    own = sys.stderr.fileno()
    if _IN_A_HEAD not in os.environ:
        return (own,)
    try:
        # A reader that stands still must not hold up the driver: what cannot be written at once is left out.
        return own, os.open(_FIRST_PROCESS, os.O_WRONLY | os.O_APPEND | os.O_NONBLOCK)
    except OSError:
        return (own,)


def copy(source: BinaryIO, targets: Sequence[int]) -> None:
    """Write what comes from a source to each target until it ends; a target that is gone is passed over."""
    for line in source:
        for target in targets:
            with suppress(OSError):
                os.write(target, line)
