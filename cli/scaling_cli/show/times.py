"""Times as people read them."""

from datetime import datetime

from scaling_cli.show.numbers import duration


def ago(time: datetime | None, now: datetime) -> str:
    """Return how long ago a time was, such as `3 min 20 s`; a dash where it is not known."""
    return "–" if time is None else duration(max(0.0, (now - time).total_seconds()))


def short_ago(time: datetime | None, now: datetime) -> str:
    """Return how long ago a time was in one unit, such as `3m` or `2d`, as kubectl does in tables."""
    if time is None:
        return "–"
    seconds = max(0, int((now - time).total_seconds()))
    for unit, suffix, most in ((1, "s", 120), (60, "m", 120 * 60), (3600, "h", 48 * 3600)):
        if seconds < most:
            return f"{seconds // unit}{suffix}"
    return f"{seconds // 86400}d"
