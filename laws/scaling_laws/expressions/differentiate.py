"""Exact derivatives of expressions, as further nodes of the same graph."""

from collections.abc import Callable

from scaling_laws.expressions.graph import Graph


class Differentiator:
    """Derivatives of a graph's nodes by names, each worked out once."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._known: dict[tuple[int, str], int] = {}

    def derivative(self, node: int, name: str) -> int:
        """Return the node of d node / d name."""
        for part in self._graph.below(node):
            if (part, name) not in self._known:
                self._known[part, name] = self._of(part, name)
        return self._known[node, name]

    def _of(self, node: int, name: str) -> int:
        """Return the derivative of a node whose arguments' derivatives are known."""
        g, own = self._graph, self._graph.nodes[node]
        if name not in g.names_in[node]:
            return g.number(0)
        if own.operation == "name":
            return g.number(1)
        inner = [self._known[a, name] for a in own.arguments]
        if own.operation in _OUTER:
            return g.multiply(_OUTER[own.operation](g, node, own.arguments[0]), inner[0])
        return _RULES[own.operation](g, node, own.arguments, inner)


def _power(g: Graph, node: int, arguments: tuple[int, ...], inner: list[int]) -> int:
    """(a^b)' = b a^(b-1) a' + a^b log(a) b'"""
    (a, b), (da, db) = arguments, inner
    by_exponent = g.multiply(g.multiply(node, g.call("log_or_zero", a)), db)
    if g.value(da) == 0:
        return by_exponent
    lower = g.divide(node, a) if g.value(b) is None else g.power(a, g.subtract(b, g.number(1)))
    return g.add(g.multiply(g.multiply(b, lower), da), by_exponent)


def _choice(is_min: bool) -> "Rule":
    def rule(g: Graph, node: int, arguments: tuple[int, ...], inner: list[int]) -> int:
        first = g.call("at_most", *(arguments if is_min else arguments[::-1]))
        return g.add(g.multiply(first, inner[0]), g.multiply(g.subtract(g.number(1), first), inner[1]))

    return rule


def _quotient(g: Graph, node: int, arguments: tuple[int, ...], inner: list[int]) -> int:
    """(a/b)' = (a' - (a/b) b') / b"""
    return g.divide(g.subtract(inner[0], g.multiply(node, inner[1])), arguments[1])


def _product(g: Graph, node: int, arguments: tuple[int, ...], inner: list[int]) -> int:
    return g.add(g.multiply(inner[0], arguments[1]), g.multiply(arguments[0], inner[1]))


def _zero(g: Graph, node: int, arguments: tuple[int, ...], inner: list[int]) -> int:
    """Steps have no slope but at their jump."""
    return g.number(0)


def _one_minus_square(g: Graph, node: int, a: int) -> int:
    return g.subtract(g.number(1), g.call("square", node))


Rule = Callable[[Graph, int, tuple[int, ...], list[int]], int]
Outer = Callable[[Graph, int, int], int]

_RULES: dict[str, Rule] = {
    "add": lambda g, node, arguments, inner: g.add(*inner),
    "subtract": lambda g, node, arguments, inner: g.subtract(*inner),
    "negate": lambda g, node, arguments, inner: g.negate(*inner),
    "multiply": _product,
    "divide": _quotient,
    "power": _power,
    "min": _choice(is_min=True),
    "max": _choice(is_min=False),
    "sign": _zero,
    "at_most": _zero,
}
"""Derivatives from (graph, node, arguments, their derivatives)."""

_OUTER: dict[str, Outer] = {
    "square": lambda g, node, a: g.multiply(g.number(2), a),
    "exp": lambda g, node, a: node,
    "log": lambda g, node, a: g.divide(g.number(1), a),
    "log_or_zero": lambda g, node, a: g.divide(g.number(1), a),
    "sqrt": lambda g, node, a: g.divide(g.number(0.5), node),
    "abs": lambda g, node, a: g.call("sign", a),
    "logistic": lambda g, node, a: g.multiply(node, g.subtract(g.number(1), node)),
    "sin": lambda g, node, a: g.call("cos", a),
    "cos": lambda g, node, a: g.negate(g.call("sin", a)),
    "tan": lambda g, node, a: g.add(g.number(1), g.call("square", node)),
    "atan": lambda g, node, a: g.divide(g.number(1), g.add(g.number(1), g.call("square", a))),
    "tanh": _one_minus_square,
}
"""Outer derivatives of functions of one argument, from (graph, node, argument)."""
