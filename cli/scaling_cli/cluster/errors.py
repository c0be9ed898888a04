"""What can go wrong between the command and a cluster. Each is one paragraph for the one who typed the command."""

from scaling_cli.errors import CommandError, ExitCode


class RefusedError(CommandError):
    """The API server answered, and the answer is no."""

    def __init__(self, message: str, *, status: int, reason: str = "", is_kind_missing: bool = False) -> None:
        self.status = status
        self.reason = reason
        self.is_kind_missing = is_kind_missing
        """The cluster does not know the kind of object that was asked for."""
        again_later = status == 429 or status >= 500
        super().__init__(message, exit_code=ExitCode.UNREACHABLE if again_later else ExitCode.USER_ERROR)


class UnreachableError(CommandError):
    """There was no answer, or none of an API server's."""

    def __init__(self, message: str) -> None:
        super().__init__(message, exit_code=ExitCode.UNREACHABLE)
