"""How a command ends."""

from enum import IntEnum


class ExitCode(IntEnum):
    """What the shell sees."""

    DONE = 0
    """All that was asked for."""
    USER_ERROR = 2
    """The user must change something; the message says what."""
    TRIALS_FAILED = 3
    """Some trials of the sweep have no result."""
    LAW_REFUSED = 4
    """The data cannot carry a law that was asked for, or the law gives no answer to a question."""
    UNREACHABLE = 5
    """The cluster could not be asked, for now; the same command may work later."""
    TIMED_OUT = 124
    """The time that was given for waiting is over; the experiment goes on."""
    INTERRUPTED = 130
    """Ctrl-C; what was finished is kept."""


class CommandError(Exception):
    """The command ends here; its text is one paragraph for the one who typed it."""

    def __init__(self, message: str, *, exit_code: ExitCode = ExitCode.USER_ERROR) -> None:
        self.exit_code = exit_code
        super().__init__(message)
