"""What the loop needs of lanes, whatever they are made of."""

from typing import Protocol

from scaling_trainer.executors.messages import Message, Work
from scaling_trainer.executors.slots import Queue


class Lanes(Protocol):
    """The lanes of one executor, by number.

    A lane says `Ready` before its first trial, and `Lost` when it is no more.
    """

    def slots(self, pool: str) -> int:
        """Return how many slots a pool has at most."""

    def open(self, number: int, queue: Queue) -> None:
        """Begin a lane for the trials of a queue."""

    def start(self, number: int, work: Work) -> None:
        """Give a lane that waits its next trial."""

    def hear(self, timeout_s: float) -> list[tuple[int, Message]]:
        """Return what lanes have said, each lane's words in order; wait for the first word, but not for longer."""

    def end(self, number: int) -> list[Message]:
        """End a lane at once, and return what it said at last; `Lost` is not said."""

    def close(self) -> list[tuple[int, Message]]:
        """End all lanes at once, and return what they said at last."""
