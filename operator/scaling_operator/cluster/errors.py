"""What can go wrong between the operator and what it speaks to.

ClusterError                 the base of all
  NoCluster                  it is not known where the API server is
  Unavailable                nobody answers, or is too busy: wait, then try again
    NotLeading               another may be the leader now: nothing was sent
  Refused                    the API server answered with an error
    Missing                  404: no such object, or no such kind
    Taken                    409: it exists already, or has changed since it was read
    Forbidden                401 and 403: credentials or RBAC; a person must act
    Invalid                  400, 413 and 422: what was sent will not do
"""


class ClusterError(Exception):
    """The base of all."""


class NoCluster(ClusterError):  # noqa: N818 - what there is
    """It is not known where the API server is, or who we are."""


class Unavailable(ClusterError):  # noqa: N818 - a state of the server, not of the program
    """Nobody answers, or is too busy: wait, then try again."""

    def __init__(self, message: str, *, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class NotLeading(Unavailable):
    """Another may be the leader now: nothing was sent."""


class Refused(ClusterError):  # noqa: N818 - the API server's word
    """The API server answered with an error."""

    def __init__(self, message: str, *, code: int, reason: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason

    @property
    def is_for_the_last_time(self) -> bool:
        """The namespace is being deleted, and everything in it: nobody has to act."""
        return self.code == 403 and "because it is being terminated" in str(self)


class Missing(Refused):
    """404: no such object, or no such kind."""


class Taken(Refused):
    """409: it exists already, or has changed since it was read."""


class Forbidden(Refused):
    """401 and 403: credentials or RBAC; a person must act."""


class Invalid(Refused):
    """400, 413 and 422: what was sent will not do."""


_BUSY = frozenset({408, 429, 502, 503, 504})
_KINDS: dict[int, type[Refused]] = {
    400: Invalid,
    401: Forbidden,
    403: Forbidden,
    404: Missing,
    409: Taken,
    413: Invalid,
    422: Invalid,
}


def refusal(code: int, *, message: str, reason: str = "", retry_after_s: float | None = None) -> ClusterError:
    """Return the error that a status code of the API server means."""
    if code in _BUSY:
        return Unavailable(message, retry_after_s=retry_after_s)
    return _KINDS.get(code, Refused)(message, code=code, reason=reason)
