"""Expressions as a graph in which equal parts are one node, so that derivatives share what they have in common."""

import math
from dataclasses import dataclass, field

import numpy as np

from scaling_laws.expressions.operations import OPERATIONS


@dataclass(frozen=True)
class Node:
    """An operation on earlier nodes; or a number, or a name."""

    operation: str
    arguments: tuple[int, ...] = ()
    number: float = 0.0
    name: str = ""


@dataclass
class Graph:
    """Nodes by index; the arguments of each stand before it. The methods add a node, or return the one that exists.

    Numbers are folded and neutral elements dropped on the way: derivatives would be mostly zeros and ones otherwise.
    """

    nodes: list[Node] = field(default_factory=list)
    names_in: list[frozenset[str]] = field(default_factory=list)
    """Names that each node depends on."""
    _index: dict[Node, int] = field(default_factory=dict)

    def number(self, value: float) -> int:
        """Add a number."""
        return self._intern(Node("number", number=float(value)))

    def name(self, name: str) -> int:
        """Add a variable or coefficient."""
        return self._intern(Node("name", name=name))

    def call(self, operation: str, *arguments: int) -> int:
        """Add an operation of `OPERATIONS` that has no neutral elements."""
        folded = self._folded(operation, arguments)
        return self._intern(Node(operation, arguments)) if folded is None else folded

    def add(self, a: int, b: int) -> int:
        """Add a + b."""
        if self._is(a, 0):
            return b
        if self._is(b, 0):
            return a
        if self.nodes[b].operation == "negate":
            return self.subtract(a, self.nodes[b].arguments[0])
        return self.call("add", *sorted((a, b)))

    def subtract(self, a: int, b: int) -> int:
        """Add a - b."""
        if self._is(b, 0):
            return a
        if self._is(a, 0):
            return self.negate(b)
        return self.number(0) if a == b else self.call("subtract", a, b)

    def negate(self, a: int) -> int:
        """Add -a."""
        node = self.nodes[a]
        return node.arguments[0] if node.operation == "negate" else self.call("negate", a)

    def multiply(self, a: int, b: int) -> int:
        """Add a * b."""
        if self._is(a, 0) or self._is(b, 0):
            return self.number(0)
        if self._is(a, 1):
            return b
        if self._is(b, 1):
            return a
        if self.nodes[a].operation == "negate":
            return self.negate(self.multiply(self.nodes[a].arguments[0], b))
        if self.nodes[b].operation == "negate":
            return self.negate(self.multiply(a, self.nodes[b].arguments[0]))
        return self.call("multiply", *sorted((a, b)))

    def divide(self, a: int, b: int) -> int:
        """Add a / b."""
        if self._is(b, 1) or (self._is(a, 0) and not self._is(b, 0)):
            return a
        if self.nodes[a].operation == "negate":
            return self.negate(self.divide(self.nodes[a].arguments[0], b))
        return self.call("divide", a, b)

    def power(self, a: int, b: int) -> int:
        """Add a ^ b."""
        if self._is(b, 0):
            return self.number(1)
        if self._is(b, 1):
            return a
        return self.call("square", a) if self._is(b, 2) else self.call("power", a, b)

    def value(self, a: int) -> float | None:
        """Return the number that a node is, None for other nodes."""
        return self.nodes[a].number if self.nodes[a].operation == "number" else None

    def below(self, *roots: int) -> list[int]:
        """Return the nodes that the roots need, themselves included, arguments first."""
        seen: set[int] = set()
        ahead = list(roots)
        while ahead:
            node = ahead.pop()
            if node not in seen:
                seen.add(node)
                ahead.extend(self.nodes[node].arguments)
        return sorted(seen)

    def _is(self, a: int, value: float) -> bool:
        return self.nodes[a].operation == "number" and self.nodes[a].number == value

    def _folded(self, operation: str, arguments: tuple[int, ...]) -> int | None:
        """Return the number that an operation on numbers gives, unless it is no finite one."""
        numbers = [self.value(a) for a in arguments]
        if None in numbers:
            return None
        with np.errstate(all="ignore"):
            result = float(OPERATIONS[operation](*(np.float64(x) for x in numbers if x is not None)))
        return self.number(result) if math.isfinite(result) else None

    def _intern(self, node: Node) -> int:
        if node not in self._index:
            self._index[node] = len(self.nodes)
            self.nodes.append(node)
            own = {node.name} if node.operation == "name" else set()
            self.names_in.append(frozenset(own).union(*(self.names_in[a] for a in node.arguments)))
        return self._index[node]
