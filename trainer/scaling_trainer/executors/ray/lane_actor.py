"""A lane on a node: the same process as on one machine, looked after by a Ray actor.

The process is the one that `scaling run` starts, with the same environment, so its numbers are the same to the bit;
and however it ends, its exit status says whose fault that was, which the loss of an actor does not.
"""

import selectors
import threading
from pathlib import Path
from typing import Final

from scaling_trainer.executors.failures import failure_of_exit
from scaling_trainer.executors.lane import Lane
from scaling_trainer.executors.messages import Lost, Message, Setup, Work
from scaling_trainer.executors.ray.trial_words import TrialWords

_LOOK_AGAIN_S: Final = 0.2


class LaneActor:
    """Two threads call it: one waits for words, one brings trials."""

    def __init__(self, number: int, setup: str, log: str) -> None:
        """Start the process.

        Args:
            number: of the lane.
            setup: a `Setup`, as JSON.
            log: takes what the process prints, on this node.
        """
        path = Path(log)
        path.parent.mkdir(parents=True, exist_ok=True)
        self._lane: Lane | None = None
        self._words = TrialWords(printed=path)
        started = threading.Event()
        # The process dies with the thread that starts it, and calls come on threads that come and go.
        arguments = (started, number, Setup.model_validate_json(setup), path)
        threading.Thread(target=self._keep, args=arguments, daemon=True).start()
        started.wait()
        if self._lane is None:
            raise OSError(f"the process of lane {number} cannot be started")
        self._selector: selectors.BaseSelector = selectors.DefaultSelector()
        self._selector.register(self._process, selectors.EVENT_READ)

    def start(self, work: str) -> None:
        """Send a trial to the process: a `Work`, as JSON."""
        told = Work.model_validate_json(work)
        self._words.begin(told, lane=self._process.number)
        self._process.start(told)

    def exchange(self) -> list[str]:
        """Wait until the process has said something or has ended, and return its messages, as JSON."""
        lane = self._process
        while True:
            messages = list(lane.messages())
            if lane.is_lost:
                code = lane.kill()
                messages += [*lane.messages(), Lost(failure=failure_of_exit(code, log=lane.log))]
            for message in messages:
                self._words.heard(message)
            if messages:
                return list(map(_json, messages))
            self._selector.select(_LOOK_AGAIN_S)

    def _keep(self, started: threading.Event, number: int, setup: Setup, log: Path) -> None:
        try:
            self._lane = Lane(number, setup, log=log)
        finally:
            started.set()
        threading.Event().wait()

    @property
    def _process(self) -> Lane:
        assert self._lane is not None
        return self._lane


def _json(message: Message) -> str:
    return message.model_dump_json()
