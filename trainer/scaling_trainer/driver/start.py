"""Starts the driver: listens first, so that whoever asks hears what it is waiting for; then reads the journal."""

import ctypes
import logging
import os
import signal
import sys
import threading
from collections.abc import Sequence
from typing import Final

from scaling_api.driver_protocol import DriverPlan, DriverState
from scaling_trainer.driver.desk import Desk, InvalidPlanError, PlanConflictError
from scaling_trainer.driver.driver import ASKED_TO_END, Driver
from scaling_trainer.driver.executors import executor_maker
from scaling_trainer.driver.feed import Feed
from scaling_trainer.driver.journal import ExperimentJournal
from scaling_trainer.driver.options import Options, UsageError, parse_options
from scaling_trainer.driver.plans import last_plan
from scaling_trainer.driver.segments import experiment_folder
from scaling_trainer.driver.server import NotReadyError, Server
from scaling_trainer.driver.signals import EndSignals
from scaling_trainer.storage.errors import StorageError
from scaling_trainer.storage.files import open_files
from scaling_trainer.storage.store import Store

_USAGE: Final = 64
_PR_SET_PDEATHSIG: Final = 1
_STORE_PATIENCE_S: Final = 10.0  # of the driver's own look-ups; lanes wait longer
_log = logging.getLogger("scaling.driver")


def start(words: Sequence[str], *, parent: int) -> int:
    """Run one driver and return its exit status.

    Args:
        words: its command line.
        parent: process to die with.
    """
    _die_with(parent)
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    signals = EndSignals()
    try:
        options = parse_options(words)
        front = _Front()
        server = Server(front, token=options.token(), host=options.host, port=options.port)
    except (UsageError, OSError) as error:
        sys.stderr.write(f"{error}\n")
        return _USAGE if isinstance(error, UsageError) else 1
    _log.info("listening on %s, port %d", options.host, server.port)
    try:
        driver = _opened(options, front, signals)
        if driver is None:
            return ASKED_TO_END
        front.driver = driver
        return driver.run()
    finally:
        server.close()


class _Front:
    """Answers for a driver that may not be there yet."""

    def __init__(self) -> None:
        self.driver: Driver | None = None
        self.why_not = "The driver is reading its journal."

    def state(self) -> DriverState:
        return self._ready().state()

    def take(self, plan: DriverPlan) -> None:
        self._ready().take(plan)

    def feed(self) -> Feed:
        return self._ready().feed()

    def metrics(self) -> str:
        return "" if self.driver is None else self.driver.metrics()

    def contacted(self) -> None:
        if self.driver is not None:
            self.driver.contacted()

    def _ready(self) -> Driver:
        if self.driver is None:
            raise NotReadyError(self.why_not)
        return self.driver


def _opened(options: Options, front: _Front, signals: EndSignals) -> Driver | None:
    """Return the driver with its journal read, however long storage takes; None where it is asked to end before."""
    ended = threading.Event()
    store = Store.of(options.storage, patience_s=_STORE_PATIENCE_S, stopped=ended)
    folder = experiment_folder(options.namespace, options.name, options.experiment)
    while not signals.has_come:
        try:
            journal = ExperimentJournal(open_files(options.storage), folder, store=store)
            plan = last_plan(store.files, folder)
        except StorageError as error:
            if front.why_not != str(error):
                front.why_not = str(error)
                _log.warning("%s", error)
            continue
        for warning in journal.warnings:
            _log.warning("%s", warning)
        _log.info("epoch %s of %s, %d trials known", journal.epoch, folder, journal.feed.length)
        driver = Driver(
            desk := Desk(options.experiment),
            journal,
            store,
            make_executor=executor_maker(options),
            signals=signals,
            unanswered_s=options.unanswered_s,
        )
        _go_on(desk, plan)
        return driver
    return None


def _go_on(desk: Desk, plan: DriverPlan | None) -> None:
    """Follow the plan of the driver before, until there is another."""
    if plan is not None:
        try:
            desk.put(plan)
        except (PlanConflictError, InvalidPlanError) as error:
            _log.warning("the plan in storage is not followed: %s", error)


def _die_with(parent: int) -> None:
    """Have the kernel kill this process when its parent ends, where it can: no two drivers of one head."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(1)
