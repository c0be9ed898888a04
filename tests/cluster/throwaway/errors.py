"""What can go wrong, in sentences for the person at the terminal."""


class ClusterError(Exception):
    """The cluster cannot be had; the message says why and what would help."""


class UnavailableError(ClusterError):
    """This machine lacks something; tests skip with this as the reason."""
