"""Evaluation of expressions for many points and many parameter vectors at once."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from scaling_laws.expressions.graph import Graph
from scaling_laws.expressions.operations import OPERATIONS
from scaling_laws.points import FloatArray


@dataclass(frozen=True)
class _Instruction:
    target: int
    operation: Callable[..., Any]
    arguments: tuple[int, ...]
    finished: tuple[int, ...]
    """Nodes that nothing later needs; letting go of them keeps the working arrays in the processor's cache."""


@dataclass(frozen=True)
class Tape:
    """Nodes of a graph in the order of their evaluation, with all that depends on columns alone worked out already."""

    outputs: tuple[int, ...]
    names: Mapping[str, int]
    """Node of each name that `run` is given."""
    known: Mapping[int, FloatArray]
    instructions: tuple[_Instruction, ...]

    def run(self, values: Mapping[str, FloatArray]) -> list[FloatArray]:
        """Return the outputs for coefficients of shape (batch, 1); each broadcasts to (batch, n).

        Where the expression has no finite value there are infinities and NaNs, without a warning.
        """
        slots: dict[int, FloatArray] = dict(self.known)
        slots |= {node: values[name] for name, node in self.names.items()}
        with np.errstate(all="ignore"):
            for step in self.instructions:
                slots[step.target] = step.operation(*(slots[a] for a in step.arguments))
                for node in step.finished:
                    del slots[node]
        return [slots[node] for node in self.outputs]


def make_tape(graph: Graph, outputs: Sequence[int], columns: Mapping[str, FloatArray]) -> Tape:
    """Return the tape that evaluates the outputs, with columns (n,) or () in the place of their names."""
    known: dict[int, FloatArray] = {}
    ahead: list[tuple[int, Callable[..., Any], tuple[int, ...]]] = []
    names: dict[str, int] = {}
    # Logarithms of bases stand under negative numbers, where no node is.
    for index in graph.below(*outputs):
        node = graph.nodes[index]
        if node.operation == "number":
            known[index] = np.float64(node.number)  # type: ignore[assignment]
        elif node.operation == "name" and node.name in columns:
            known[index] = columns[node.name]
        elif node.operation == "name":
            names[node.name] = index
        elif all(a in known for a in node.arguments):
            with np.errstate(all="ignore"):
                known[index] = OPERATIONS[node.operation](*(known[a] for a in node.arguments))
        elif node.operation == "power" and node.arguments[0] in known and np.all(known[node.arguments[0]] > 0):
            # A power of a known base is one exponential, five times faster than a general power.
            base, exponent = node.arguments
            known[-1 - base] = np.log(known[base])
            ahead.append((index, _power_of_logged, (-1 - base, exponent)))
        else:
            ahead.append((index, OPERATIONS[node.operation], node.arguments))
    return Tape(tuple(outputs), names, known, _with_ends(ahead, keep={*outputs, *known}))


def _power_of_logged(log_base: FloatArray, exponent: FloatArray) -> FloatArray:
    return np.asarray(np.exp(exponent * log_base), dtype=np.float64)


def _with_ends(
    ahead: list[tuple[int, Callable[..., Any], tuple[int, ...]]], keep: set[int]
) -> tuple[_Instruction, ...]:
    seen = set(keep)
    out = []
    for target, operation, arguments in reversed(ahead):
        finished = tuple(dict.fromkeys(a for a in arguments if a not in seen))
        seen.update(arguments)
        out.append(_Instruction(target, operation, arguments, finished))
    return tuple(reversed(out))
