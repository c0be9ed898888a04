"""A form's expression with its first and second derivatives by the fitted coefficients."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations_with_replacement

from scaling_laws.expressions import Equation
from scaling_laws.expressions.differentiate import Differentiator
from scaling_laws.expressions.graph import Graph

MAX_COEFFICIENTS = 24
"""Of one form; second derivatives grow with their square."""


@dataclass(frozen=True)
class Derivatives:
    """Nodes of one graph."""

    graph: Graph
    root: int
    first: tuple[int, ...]
    """By each coefficient."""
    second: Mapping[tuple[int, int], int]
    """By pairs of coefficients i <= j; those that are zero everywhere are left out."""

    @property
    def linear(self) -> tuple[int, ...]:
        """A largest set of coefficients, by index, in which the expression is linear jointly."""
        clashes = {j: {i for i in range(len(self.first)) if (min(i, j), max(i, j)) in self.second} for j in self._all}
        chosen: list[int] = []
        for j in sorted(self._all, key=lambda j: (len(clashes[j]), j)):
            if j not in clashes[j] and not clashes[j] & set(chosen):
                chosen.append(j)
        return tuple(sorted(chosen))

    @property
    def _all(self) -> range:
        return range(len(self.first))


def differentiate(equation: Equation, names: Sequence[str]) -> Derivatives:
    """Return the derivatives by the named coefficients.

    Raises:
        ValueError: there are more coefficients than a fit can carry.
    """
    if len(names) > MAX_COEFFICIENTS:
        raise ValueError(f"{equation.text!r} has {len(names)} coefficients; at most {MAX_COEFFICIENTS} can be fitted.")
    graph = equation.graph
    known = Differentiator(graph)
    first = tuple(known.derivative(equation.root, name) for name in names)
    second = {
        (i, j): known.derivative(first[i], names[j])
        for i, j in combinations_with_replacement(range(len(names)), 2)
        if names[j] in graph.names_in[first[i]]
    }
    return Derivatives(
        graph, equation.root, first, {pair: node for pair, node in second.items() if not _is_zero(graph, node)}
    )


def _is_zero(graph: Graph, node: int) -> bool:
    return graph.value(node) == 0
