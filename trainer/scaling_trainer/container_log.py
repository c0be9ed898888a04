"""What drivers and trials say goes to their container's log, where `kubectl logs` finds it: Ray keeps it in files."""

import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import BinaryIO, Final

_FIRST_PROCESS: Final = "/proc/1/fd/1"
"""Standard output of the container's first process, which the container's runtime reads."""
_IN_A_CONTAINER: Final = "KUBERAY_GEN_RAY_START_CMD"
"""KubeRay sets it in its containers. Elsewhere the first process belongs to someone else."""


def outputs() -> tuple[int, ...]:
    """Return the file descriptors that a driver's words are written to."""
    own, container = sys.stderr.fileno(), container_output()
    return (own,) if container is None else (own, container)


def container_output() -> int | None:
    """Return a file descriptor of the container's log; None outside of Ray's containers, or where it cannot be had."""
    if _IN_A_CONTAINER not in os.environ:
        return None
    try:
        # A reader that stands still must not hold up anybody: what cannot be written at once is left out.
        return os.open(_FIRST_PROCESS, os.O_WRONLY | os.O_APPEND | os.O_NONBLOCK)
    except OSError:
        return None


def copy(source: BinaryIO, targets: Sequence[int]) -> None:
    """Write what comes from a source to each target until it ends; a target that is gone is passed over."""
    for line in source:
        for target in targets:
            with suppress(OSError):
                os.write(target, line)
