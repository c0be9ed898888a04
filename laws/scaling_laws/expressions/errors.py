"""What is wrong with an expression, and where."""


class ExpressionError(ValueError):
    """The text is no expression of the language; `position` counts characters from 1."""

    def __init__(self, reason: str, text: str, position: int) -> None:
        self.position = position
        shown = text if len(text) <= 120 else f"{text[:117]}..."
        super().__init__(f"{reason} at position {position} of {shown!r}.")
