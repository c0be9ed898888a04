"""From text to tokens: numbers, names, operators."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, TypeAlias

from scaling_laws.expressions.errors import ExpressionError

MAX_LENGTH = 4000
"""Characters of an expression."""

Kind: TypeAlias = Literal["number", "name", "operator", "end"]

_TOKEN = re.compile(
    r"(?P<number>(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)|(?P<name>[^\W\d]\w*)|(?P<operator>\*\*|[-+*/^(),=])"
)
_BLANK = re.compile(r"\s*")


@dataclass(frozen=True)
class Token:
    """A word of an expression."""

    kind: Kind
    text: str
    position: int
    """Of its first character, from 1."""


def tokens_of(text: str) -> Iterator[Token]:
    """Yield the tokens of a text, an `end` last.

    Raises:
        ExpressionError: the text is too long or holds a character that the language does not know.
    """
    if len(text) > MAX_LENGTH:
        raise ExpressionError(f"The expression has more than {MAX_LENGTH} characters", text, MAX_LENGTH + 1)
    at = _skip_blank(text, 0)
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            raise ExpressionError(f"There is an unexpected character {text[at]!r}", text, at + 1)
        for kind in ("number", "name", "operator"):
            if match[kind] is not None:
                yield Token(kind, match[kind], at + 1)
        at = _skip_blank(text, match.end())
    yield Token("end", "", len(text) + 1)


def _skip_blank(text: str, at: int) -> int:
    match = _BLANK.match(text, at)
    return at if match is None else match.end()
