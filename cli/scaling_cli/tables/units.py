"""Units of counts: what a header such as `params_M` or `tokens (billions)` says, and whether the table makes sense."""

import re
from collections.abc import Mapping, MutableMapping

import numpy as np

from scaling_cli.errors import CommandError
from scaling_cli.show.numbers import count, significant
from scaling_cli.tables.where import as_number
from scaling_laws.points import FloatArray

_SCALES: Mapping[str, float] = {
    "k": 1e3, "thousand": 1e3, "thousands": 1e3, "m": 1e6, "mn": 1e6, "mln": 1e6, "million": 1e6, "millions": 1e6,
    "b": 1e9, "bn": 1e9, "g": 1e9, "billion": 1e9, "billions": 1e9, "t": 1e12, "tn": 1e12, "trillion": 1e12,
    "trillions": 1e12, "petaflop": 1e15, "petaflops": 1e15, "pflop": 1e15, "pflops": 1e15, "exaflop": 1e18,
    "exaflops": 1e18, "eflop": 1e18, "eflops": 1e18, "zettaflop": 1e21, "zettaflops": 1e21, "zflop": 1e21,
    "zflops": 1e21,
}  # fmt: skip
_WORDS = "|".join(sorted(_SCALES, key=len, reverse=True))
_OF_HEADER = re.compile(
    rf"(?<=[a-z\d])(?:[\s_.-]*[\[(](?:in |x|×)?\s*|[\s_.-]+(?:in[\s_])?)({_WORDS}|1?e\d\d?)[\])]?$", re.IGNORECASE
)
UNITED = frozenset(("N", "D", "C", "U", "steps"))
"""Roles and features that count something, so that a header may say in what."""
_SENSIBLE = (1e-3, 1e6)
"""Median D/N, beyond which the output says so, and which no D that was derived may leave."""
_POSSIBLE = (1e-6, 1e9)
_EXAMPLES = {"N": "--units D=B", "D": "--units N=M", None: "--units N=M,D=B"}
_COMPUTE = 30.0
"""Factor between C and 6ND, beyond which the output says so."""
_OTHER_COMPUTE = 1000.0
"""Factor beyond which no count of FLOPs explains it."""


def header_unit(column: str) -> float:
    """Return how many one in a column stands for, by its header: 1e6 for `params_M`; 1 where it says nothing."""
    match = _OF_HEADER.search(column)
    if match is None:
        return 1.0
    word = match[1].lower()
    return _SCALES[word] if word in _SCALES else float(word if word[0] == "1" else f"1{word}")


def without_unit(column: str) -> str:
    """Return a header without the unit at its end."""
    return _OF_HEADER.sub("", column)


def parse_units(text: str) -> dict[str, float]:
    """Return how many one in the column of each role stands for: `N=M,D=1e9`.

    Raises:
        CommandError: it is no such list.
    """
    units: dict[str, float] = {}
    for part in (part for part in text.split(",") if part.strip()):
        name, _, word = (piece.strip() for piece in part.partition("="))
        unit = _SCALES.get(word.lower()) or as_number(word)
        if name not in UNITED or unit is None or not 0 < unit < float("inf"):
            raise CommandError(f"--units: cannot read {part.strip()!r}; write it as N=M,D=B,C=1e18.")
        units[name] = unit
    return units


def in_ones(
    numbers: MutableMapping[str, FloatArray], columns: Mapping[str, str], given: Mapping[str, float], plain: set[str]
) -> list[str]:
    """Count in ones what a table counts in thousands or millions, and return a sentence for each such column.

    Args:
        numbers: by role or feature; changed in place.
        columns: their headers.
        given: units that the user says.
        plain: of columns whose cells have suffixes of their own.
    """
    notes: list[str] = []
    for name in [name for name in numbers if name in UNITED and name in columns]:
        unit, column = given.get(name), columns[name]
        says = "--units says" if unit is not None else "its header says"
        if unit is None:
            unit = 1.0 if name in plain or np.median(numbers[name]) >= header_unit(column) else header_unit(column)
        if unit != 1.0:
            numbers[name] = numbers[name] * unit
            notes.append(f"{name} is {column!r} times {unit:g}, as {says}.")
    return notes


def judged(
    numbers: Mapping[str, FloatArray], given: Mapping[str, float], *, derived: str | None, name: str
) -> list[str]:
    """Return the sentence that says in what N and D are counted, and one where that makes little sense.

    Args:
        numbers: N and D, and C where the table has it beside them.
        given: units that the user says; those are believed.
        derived: which of N and D was derived from C.
        name: of the table.

    Raises:
        CommandError: it makes no sense.
    """
    N, D, C = numbers.get("N"), numbers.get("D"), numbers.get("C")
    if N is None or D is None:
        return []
    ratio = float(np.median(D / N))
    notes = [
        f"N is {_range(N)} parameters and D {_range(D)} tokens, {significant(ratio, 3)} tokens a parameter (median)."
    ]
    allowed = _SENSIBLE if derived else _POSSIBLE
    advice = f"say what the columns count in, such as {_EXAMPLES[derived]}, or --units N=1,D=1 where this is so"
    if not {"N", "D"} & set(given):
        if not allowed[0] <= ratio <= allowed[1]:
            raise CommandError(f"{name}: {notes[0]} Such units make no sense: {advice}.")
        if not _SENSIBLE[0] <= ratio <= _SENSIBLE[1]:
            notes.append(f"Check the units: {significant(ratio, 3)} tokens a parameter are unusual; {advice}.")
    if C is not None and derived is None and not given:
        notes += _of_compute(C / (6.0 * N * D), advice, name=name)
    return notes


def _of_compute(ratios: FloatArray, advice: str, *, name: str) -> list[str]:
    known = ratios[np.isfinite(ratios) & (ratios > 0)]
    if not len(known):
        return []
    ratio = float(np.median(known))
    told = f"C is {significant(ratio, 3)} times 6ND (median)"
    if not 1 / _OTHER_COMPUTE <= ratio <= _OTHER_COMPUTE:
        raise CommandError(f"{name}: {told}, so that N, D or C is in another unit: {advice}.")
    return [f"Check the units: {told}; {advice}."] if not 1 / _COMPUTE <= ratio <= _COMPUTE else []


def _range(x: FloatArray) -> str:
    low, high = count(float(x.min())), count(float(x.max()))
    return low if low == high else f"{low} to {high}"
