"""A small language of arithmetic for users' own laws: parsed by hand, differentiated exactly, evaluated in batches."""

from scaling_laws.expressions.errors import ExpressionError
from scaling_laws.expressions.parse import Equation, parse_equation

__all__ = ["Equation", "ExpressionError", "parse_equation"]
