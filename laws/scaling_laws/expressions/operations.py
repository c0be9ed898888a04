"""What the nodes of an expression compute, elementwise."""

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import numpy as np

from scaling_laws.points import FloatArray

Operation: TypeAlias = Callable[..., Any]


def logistic(x: FloatArray) -> FloatArray:
    """Return 1 / (1 + exp(-x))."""
    return 0.5 * (1.0 + np.tanh(0.5 * x))


def log_or_zero(x: FloatArray) -> FloatArray:
    """Return log x, and 0 where x is not positive: the derivative of 0^b by b is 0 for positive b."""
    return np.log(np.where(x > 0, x, 1.0))


def at_most(a: FloatArray, b: FloatArray) -> FloatArray:
    """Return 1 where a <= b, else 0: which side min and max follow."""
    return np.less_equal(a, b).astype(np.float64)


OPERATIONS: Mapping[str, Operation] = {
    "add": np.add,
    "subtract": np.subtract,
    "multiply": np.multiply,
    "divide": np.divide,
    "negate": np.negative,
    "power": np.power,
    "square": np.square,
    "exp": np.exp,
    "log": np.log,
    "log_or_zero": log_or_zero,
    "sqrt": np.sqrt,
    "abs": np.abs,
    "sign": np.sign,
    "min": np.minimum,
    "max": np.maximum,
    "at_most": at_most,
    "logistic": logistic,
    "sin": np.sin,
    "cos": np.cos,
    "tan": np.tan,
    "atan": np.arctan,
    "tanh": np.tanh,
}
