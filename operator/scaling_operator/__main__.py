"""`python -m scaling_operator`: run the operator until it is told to stop."""

import asyncio
import gc
import logging
import os
import sys
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, Final, TypeAlias

from scaling_operator.cluster.errors import NoCluster
from scaling_operator.run import run
from scaling_operator.settings import Settings, SettingsError, settings_from

UNUSABLE_SETTINGS: Final = 2
Start: TypeAlias = Callable[[Settings, Mapping[str, str]], Coroutine[Any, Any, int]]


def main(start: Start = run) -> int:
    """Run the operator; return its exit status."""
    try:
        settings = settings_from(os.environ)
    except SettingsError as error:
        print(error, file=sys.stderr)  # noqa: T201 - there is no log yet
        return UNUSABLE_SETTINGS
    logging.basicConfig(
        level=settings.log_level.value, format="%(asctime)s %(levelname)s %(name)s: %(message)s", stream=sys.stderr
    )
    logging.getLogger("kopf").setLevel(logging.WARNING)  # it says a line for each event
    logging.getLogger("kopf._core.reactor.running").addFilter(_is_worth_saying)
    gc.freeze()  # what is loaded stays: collections that look at it again hold the event loop up for 100 ms
    try:
        return asyncio.run(start(settings, os.environ))
    except NoCluster as error:
        print(error, file=sys.stderr)  # noqa: T201 - for whoever started it by hand
        return UNUSABLE_SETTINGS


def _is_worth_saying(record: logging.LogRecord) -> bool:
    """Leave out that kopf, in its thread, gets no signals: `run` has them, and ends it."""
    return "OS signals are ignored" not in record.getMessage()


def end(status: int) -> None:
    """End at once: a request that hangs in a thread must not outlive the pod's grace."""
    logging.shutdown()
    sys.stderr.flush()
    os._exit(status)


if __name__ == "__main__":
    end(main())
