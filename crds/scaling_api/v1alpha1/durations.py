"""Lengths of time as experiments write them."""

import re
from typing import Final

_UNITS: Final = {"d": 86400, "h": 3600, "m": 60, "s": 1}


def seconds_of(duration: str) -> int:
    """Return the seconds of a duration such as 90m or 1d12h."""
    return sum(int(number) * _UNITS[unit] for number, unit in re.findall(r"([0-9]+)([dhms])", duration))
