"""From text to a graph, by recursive descent. Nothing of the text is ever executed.

equation   = [ name "=" ] sum
sum        = product { ("+" | "-") product }
product    = signed { ("*" | "/") signed }
signed     = { "+" | "-" } power
power      = atom [ ("^" | "**") signed ]
atom       = number | name | function "(" sum { "," sum } ")" | "(" sum ")"
"""

import math
from dataclasses import dataclass, field

from scaling_laws.expressions.errors import ExpressionError
from scaling_laws.expressions.graph import Graph
from scaling_laws.expressions.tokens import Token, tokens_of

MAX_DEPTH = 50
"""Parentheses, functions, signs and exponents inside each other."""
CONSTANTS = {"pi": math.pi}
ONE_ARGUMENT = {
    "exp": "exp", "log": "log", "ln": "log", "sqrt": "sqrt", "abs": "abs", "logistic": "logistic",
    "sigmoid": "logistic", "sin": "sin", "cos": "cos", "tan": "tan", "atan": "atan", "arctan": "atan", "tanh": "tanh",
}  # fmt: skip
"""Functions of one argument by the names that they go by."""
FUNCTIONS = (*ONE_ARGUMENT, "log10", "min", "max", "pow")
LOSS_NAMES = frozenset(("loss", "L"))
"""Left-hand sides that mean the loss."""


@dataclass(frozen=True)
class Equation:
    """A response and the expression that predicts it."""

    text: str
    response: str
    """Name of the column that is predicted, `loss` by default."""
    graph: Graph
    root: int

    @property
    def names(self) -> tuple[str, ...]:
        """Variables and coefficients of the right-hand side, in order of appearance."""
        return tuple(self.graph.nodes[i].name for i in self.graph.below(self.root) if self.graph.nodes[i].name)

    @property
    def names_without_effect(self) -> tuple[str, ...]:
        """Names that are written on the right-hand side and cancel there, as N in `E/(N - N)`."""
        left = set(self.names)
        return tuple(node.name for node in self.graph.nodes if node.name and node.name not in left)


def parse_equation(text: str) -> Equation:
    """Return the equation that a text such as `loss = E + A*N^-alpha` writes down.

    Raises:
        ExpressionError: the text is not of the language; the message says where and what was expected.
    """
    parser = _Parser(text, list(tokens_of(text)))
    response = parser.response()
    root = parser.sum()
    parser.finish()
    return Equation(text.strip(), "loss" if response in LOSS_NAMES else response, parser.graph, root)


@dataclass
class _Parser:
    text: str
    tokens: list[Token]
    graph: Graph = field(default_factory=Graph)
    at: int = 0
    depth: int = 0

    @property
    def now(self) -> Token:
        return self.tokens[self.at]

    def response(self) -> str:
        """Take `name =` if it stands there; the loss else."""
        if len(self.tokens) > 1 and self.tokens[1].text == "=":
            if self.now.kind != "name" or self.now.text in {*FUNCTIONS, *CONSTANTS}:
                raise self._expected("the name of a column on the left of =")
            self.at = 2
            return self.tokens[0].text
        return "loss"

    def finish(self) -> None:
        """Make sure that nothing is left over."""
        if self.now.text == "=":
            raise ExpressionError("On the left of = may stand one name only; there is a further =", *self._here())
        if self.now.kind != "end":
            raise self._expected("an operator such as + or *")

    def sum(self) -> int:
        left = self.product()
        while self.now.text in {"+", "-"}:
            operation = self.graph.add if self._take() == "+" else self.graph.subtract
            left = operation(left, self.product())
        return left

    def product(self) -> int:
        left = self.signed()
        while self.now.text in {"*", "/"}:
            operation = self.graph.multiply if self._take() == "*" else self.graph.divide
            left = operation(left, self.signed())
        return left

    def signed(self) -> int:
        if self.now.text not in {"+", "-"}:
            return self.power()
        self._deeper()
        is_negative = self._take() == "-"
        inner = self.signed()
        self.depth -= 1
        return self.graph.negate(inner) if is_negative else inner

    def power(self) -> int:
        base = self.atom()
        if self.now.text not in {"^", "**"}:
            return base
        self._deeper()
        self._take()
        exponent = self.signed()
        self.depth -= 1
        return self.graph.power(base, exponent)

    def atom(self) -> int:
        token = self.now
        if token.kind == "number":
            self._take()
            return self._number(token)
        if token.kind == "name":
            self._take()
            return self._named(token)
        if token.text != "(":
            raise self._expected("a number, a name or (")
        return self._inside()[0]

    def _number(self, token: Token) -> int:
        value = float(token.text)
        if not math.isfinite(value):
            raise ExpressionError(f"The number {token.text} is too large", self.text, token.position)
        if value == 0 and any(digit in "123456789" for digit in token.text.lower().partition("e")[0]):
            reason = f"The number {token.text} is so small that a computer holds it as zero,"
            raise ExpressionError(reason, self.text, token.position)
        return self.graph.number(value)

    def _named(self, token: Token) -> int:
        if self.now.text == "(":
            return self._call(token)
        if token.text in FUNCTIONS:
            raise ExpressionError(
                f"The function {token.text} needs arguments in parentheses", self.text, token.position
            )
        if token.text in CONSTANTS:
            return self.graph.number(CONSTANTS[token.text])
        return self.graph.name(token.text)

    def _call(self, token: Token) -> int:
        if token.text not in FUNCTIONS:
            known = ", ".join(FUNCTIONS)
            reason = f"There is no function named {token.text!r} (there are {known}; a product needs *)"
            raise ExpressionError(reason, self.text, token.position)
        arguments = self._inside()
        self._check_count(token, len(arguments))
        if token.text in ONE_ARGUMENT:
            return self.graph.call(ONE_ARGUMENT[token.text], *arguments)
        if token.text == "log10":
            return self.graph.divide(self.graph.call("log", *arguments), self.graph.number(math.log(10.0)))
        if token.text == "pow":
            return self.graph.power(*arguments)
        out = arguments[0]
        for argument in arguments[1:]:
            out = self.graph.call(token.text, out, argument)
        return out

    def _check_count(self, token: Token, found: int) -> None:
        is_extreme = token.text in {"min", "max"}
        wanted = 2 if is_extreme or token.text == "pow" else 1
        if found != wanted and not (is_extreme and found > 2):
            number = f"{'at least ' if is_extreme else ''}{wanted} argument{'s' if wanted > 1 else ''}"
            raise ExpressionError(f"The function {token.text} takes {number}, not {found},", self.text, token.position)

    def _inside(self) -> list[int]:
        """Take a parenthesis with its arguments."""
        self._deeper()
        opened = self.now.position
        self._take()
        arguments = [self.sum()]
        while self.now.text == ",":
            self._take()
            arguments.append(self.sum())
        if self.now.kind == "end":
            raise ExpressionError("A parenthesis is opened and never closed", self.text, opened)
        if self.now.text != ")":
            raise self._expected(") or an operator")
        self._take()
        self.depth -= 1
        return arguments

    def _deeper(self) -> None:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise ExpressionError(f"The expression is nested more than {MAX_DEPTH} deep", *self._here())

    def _take(self) -> str:
        self.at += 1
        return self.tokens[self.at - 1].text

    def _expected(self, wanted: str) -> ExpressionError:
        found = "the end" if self.now.kind == "end" else repr(self.now.text)
        return ExpressionError(f"Expected {wanted} and found {found}", *self._here())

    def _here(self) -> tuple[str, int]:
        return self.text, self.now.position
