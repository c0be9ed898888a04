"""A Ray of our own on this machine, or the cluster's."""

import contextlib
import logging
import os
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from scaling_trainer.errors import ConfigurationError
from scaling_trainer.executors.lane import module_paths
from scaling_trainer.executors.ray.folders import OwnFolder
from scaling_trainer.executors.ray.pools import LOCAL_POOL, PREFIX

_OBJECT_STORE_BYTES: Final = 80 * 2**20  # the least that Ray takes: only messages go through it
_QUIET: Final = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_DISABLE_IMPORT_WARNING": "1",
}


class RayUnavailableError(ConfigurationError):
    """No Ray of our own can be started on this machine."""

    @classmethod
    def because(cls, error: Exception) -> "RayUnavailableError":
        """Return the error with what was met and what can be done."""
        met = " ".join(str(error).split()) or type(error).__name__
        shared = Path("/dev/shm")
        hint = "" if os.access(shared, os.W_OK) else f" Ray keeps objects in {shared}, which cannot be written here."
        return cls(
            f"Ray cannot be started on this machine: {met.rstrip('.')}.{hint} Without --executor ray no Ray is needed; "
            "finished trials are kept."
        )


class Connection:
    """This process's connection to a Ray, and the Ray itself where it is our own."""

    def __init__(self, *, folder: OwnFolder | None = None, local_slots: int | None = None) -> None:
        """Use `start`, `join` or `to` instead."""
        self.local_slots = local_slots
        """Of the one pool of a Ray of our own."""
        self._folder = folder
        self._is_open = True

    @classmethod
    def to(cls, address: str | None, *, slots: int) -> "Connection":
        """Connect to the Ray at an address or, without one, start one with so many slots."""
        return cls.start(slots=slots) if address is None else cls.join(address)

    @classmethod
    def start(cls, *, slots: int) -> "Connection":
        """Start a Ray on this machine with one pool, `local`, that only this process and its lanes can talk to.

        Args:
            slots: lanes at most.

        Raises:
            RayUnavailableError: it does not start.
        """
        try:
            folder = OwnFolder.make()
            return cls._started(folder, slots=slots)
        except Exception as error:  # whatever Ray's many parts have met
            raise RayUnavailableError.because(error) from error

    @classmethod
    def _started(cls, folder: OwnFolder, *, slots: int) -> "Connection":
        import ray

        try:
            _choose_token()
            _hush()
            with _environment({**_QUIET, "PYTHONPATH": module_paths()}):
                ray.init(
                    address="local",
                    num_cpus=slots,
                    num_gpus=0,
                    resources={PREFIX + LOCAL_POOL: slots},
                    object_store_memory=_OBJECT_STORE_BYTES,
                    include_dashboard=False,
                    configure_logging=False,
                    logging_level=logging.ERROR,
                    log_to_driver=False,
                    _temp_dir=str(folder.path),
                )
        except BaseException:
            ray.shutdown()
            folder.remove()
            raise
        return cls(folder=folder, local_slots=slots)

    @classmethod
    def join(cls, address: str) -> "Connection":
        """Connect to a Ray that runs already.

        Args:
            address: such as auto, which is the one that this machine belongs to.
        """
        import ray

        _hush()
        with _environment(_QUIET):
            ray.init(address=address, configure_logging=False, logging_level=logging.ERROR, log_to_driver=False)
        return cls()

    def nodes(self) -> list[dict[str, Any]]:
        """Return Ray's list of nodes; none once it is closed."""
        import ray

        return list(ray.nodes()) if self._is_open else []  # type: ignore[no-untyped-call]

    def close(self) -> None:
        """Disconnect, and end the Ray if it is our own; closing again does nothing."""
        import ray

        if self._is_open:
            self._is_open = False
            ray.shutdown()
            if self._folder is not None:
                self._folder.remove()


def _choose_token() -> None:
    """Have a token that only this process and its children know, for all its life: Ray reads it once.

    Ray would leave one in the home directory, which may not be writable.
    """
    if not any(name in os.environ for name in ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH")):
        os.environ["RAY_AUTH_TOKEN"] = secrets.token_hex(32)


def _hush() -> None:
    """Keep Ray's own words off the terminal and out of documents on standard output: they are in its logs."""
    from ray._private import worker

    logging.getLogger("ray").setLevel(logging.ERROR)
    worker._worker_logs_enabled = False  # log_to_driver leaves the raylet's words on


@contextlib.contextmanager
def _environment(variables: dict[str, str]) -> Iterator[None]:
    """Set variables for the processes that Ray starts; what was set before is left as it was afterwards."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
