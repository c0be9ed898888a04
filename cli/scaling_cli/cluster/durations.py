"""Durations on the command line."""

import re
from typing import Final

from scaling_cli.errors import CommandError

_UNITS: Final = {"d": 86400.0, "h": 3600.0, "m": 60.0, "s": 1.0}


def seconds_of(text: str, *, option: str) -> float:
    """Return the seconds that a duration such as `90m`, `1h30m` or `45` (seconds) writes.

    Raises:
        CommandError: it is none.
    """
    if re.fullmatch(r"\d+(\.\d+)?", text):
        return float(text)
    if not re.fullmatch(r"(\d+(\.\d+)?[dhms])+", text):
        raise CommandError(f"{option}: expected a duration such as 90m, 12h or 1h30m, found {text!r}.")
    return sum(float(number) * _UNITS[unit] for number, unit in re.findall(r"([\d.]+)([dhms])", text))
