"""The size that units suggest for each coefficient: dimensional analysis on the expression.

The logarithms of magnitudes satisfy linear equations: those of a product add, the sides of a sum are alike, exponents
and arguments of exponentials are of order one. Their least-squares solution says, for instance, that b in
1 - exp(-b*x) is of the order of 1/x, and x0 in exp(-(x - x0)^2/w^2) of the order of x.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np

from scaling_laws.expressions.graph import Graph
from scaling_laws.points import FloatArray

KNOWN, ALIKE, WEAK, PRIOR = 100.0, 1.0, 0.3, 0.01
"""Weights of equations: measured magnitudes, rules of units, hints, and the assumption of order one for the rest."""
ORDER_ONE = ("exp", "sin", "cos", "tan", "atan", "tanh", "logistic")


def magnitude(values: FloatArray) -> float:
    """Return the mean log of absolute values that are not zero; 0 when all are."""
    sizes = np.abs(values[values != 0])
    return float(np.mean(np.log(sizes))) if sizes.size else 0.0


def coefficient_scales(
    graph: Graph, root: int, *, columns: Mapping[str, FloatArray], response: FloatArray
) -> Mapping[str, float]:
    """Return the log magnitude that the units suggest, by name of the coefficient."""
    nodes = graph.below(root)
    equations = _Equations({node: i for i, node in enumerate(nodes)})
    equations.say({root: 1.0}, magnitude(response), ALIKE)
    for index in nodes:
        _equations_of(graph, index, columns, equations)
    solution = equations.solve()
    return {
        graph.nodes[node].name: float(solution[i])
        for node, i in equations.place.items()
        if graph.nodes[node].operation == "name" and graph.nodes[node].name not in columns
    }


@dataclass
class _Equations:
    place: Mapping[int, int]
    rows: list[tuple[Mapping[int, float], float, float]] = field(default_factory=list)

    def say(self, factors: Mapping[int, float], value: float, weight: float) -> None:
        """Add: the sum of factor times log magnitude of the node is the value."""
        self.rows.append((factors, value, weight))

    def solve(self) -> FloatArray:
        matrix = np.zeros((len(self.rows), len(self.place)))
        right = np.zeros(len(self.rows))
        for row, (factors, value, weight) in enumerate(self.rows):
            for node, factor in factors.items():
                matrix[row, self.place[node]] += weight * factor
            right[row] = weight * value
        gram = matrix.T @ matrix + PRIOR**2 * np.eye(len(self.place))
        return np.asarray(np.linalg.solve(gram, matrix.T @ right), dtype=np.float64)


def _equations_of(graph: Graph, index: int, columns: Mapping[str, FloatArray], equations: _Equations) -> None:
    node = graph.nodes[index]
    say: Callable[[Mapping[int, float], float, float], None] = equations.say
    inner = node.arguments
    if node.operation == "number" and node.number != 0:
        say({index: 1.0}, float(np.log(abs(node.number))), KNOWN)
    elif node.operation == "name" and node.name in columns:
        say({index: 1.0}, magnitude(columns[node.name]), KNOWN)
    elif node.operation in {"add", "subtract", "min", "max", "negate", "abs"}:
        for argument in inner:
            say(_difference(index, argument), 0.0, ALIKE)
    elif node.operation in {"multiply", "divide"}:
        second = -1.0 if node.operation == "multiply" else 1.0
        say(_sum((index, 1.0), (inner[0], -1.0), (inner[1], second)), 0.0, ALIKE)
    elif node.operation in {"square", "sqrt"}:
        say(_sum((index, 1.0), (inner[0], -2.0 if node.operation == "square" else -0.5)), 0.0, ALIKE)
    elif node.operation == "power":
        _equations_of_power(graph, index, equations)
    elif node.operation in ORDER_ONE:
        say({inner[0]: 1.0}, 0.0, ALIKE)
        say({index: 1.0}, 0.0, WEAK)
    elif node.operation == "log":
        say({inner[0]: 1.0}, 0.0, WEAK)


def _equations_of_power(graph: Graph, index: int, equations: _Equations) -> None:
    base, exponent = graph.nodes[index].arguments
    known = graph.value(exponent)
    if known is not None:
        equations.say(_sum((index, 1.0), (base, -known)), 0.0, ALIKE)
        return
    equations.say({exponent: 1.0}, 0.0, ALIKE)
    equations.say({base: 1.0}, 0.0, WEAK)
    equations.say({index: 1.0}, 0.0, WEAK)


def _difference(a: int, b: int) -> Mapping[int, float]:
    return _sum((a, 1.0), (b, -1.0))


def _sum(*parts: tuple[int, float]) -> Mapping[int, float]:
    out: dict[int, float] = {}
    for node, factor in parts:
        out[node] = out.get(node, 0.0) + factor
    return out
