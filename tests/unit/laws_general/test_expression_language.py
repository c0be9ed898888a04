"""The language of expressions: what it reads, what it refuses and where, and its derivatives."""

import ast
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scaling_laws.expressions import ExpressionError, parse_equation
from scaling_laws.expressions.differentiate import Differentiator
from scaling_laws.expressions.evaluate import make_tape


def value(text: str, **names: float) -> float:
    equation = parse_equation(text)
    tape = make_tape(equation.graph, [equation.root], {})
    return float(np.ravel(tape.run({name: np.array([[x]]) for name, x in names.items()})[0])[0])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1 + 2*3", 7.0),
        ("(1 + 2)*3", 9.0),
        ("2^3^2", 512.0),
        ("-2^2", -4.0),
        ("2**-1", 0.5),
        ("8/4/2", 1.0),
        ("8 - 4 - 2", 2.0),
        ("- - 3", 3.0),
        ("1e3 + .5 + 2.", 1002.5),
        ("pow(2, 5) + min(3, 1, 2) + max(1, 4)", 37.0),
        ("sin(pi/2) + cos(0) + tan(0) + atan(0) + tanh(0)", 2.0),
        ("log(exp(2)) + ln(1) + log10(1000)", 5.0),
        ("sqrt(9) + abs(-2)", 5.0),
        ("logistic(0) + sigmoid(0)", 1.0),
    ],
)
def test_values(text: str, expected: float) -> None:
    assert value(text) == pytest.approx(expected, rel=1e-15)


def test_names_that_cancel_are_known() -> None:
    assert parse_equation("E/(N - N) + a").names_without_effect == ("N",)
    assert parse_equation("E + 0*N/D").names_without_effect == ("N", "D")
    assert parse_equation("E + 0e7 + A/N^a + (N - N)").names_without_effect == ()


def test_the_left_hand_side_names_the_response() -> None:
    assert parse_equation("loss = a*N").response == "loss"
    assert parse_equation("L = a*N").response == "loss"
    assert parse_equation("a*N").response == "loss"
    assert parse_equation("y = a*N").response == "y"
    assert parse_equation("y = a*N + a").names == ("a", "N")


@pytest.mark.parametrize(
    ("text", "position", "message"),
    [
        ("", 1, "Expected a number, a name or \\( and found the end"),
        ("E + * A", 5, "found '\\*'"),
        ("y = 2N", 6, "Expected an operator such as \\+ or \\* and found 'N'"),
        ("foo(x)", 1, "no function named 'foo'"),
        ("a(x)", 1, "a product needs \\*"),
        ("N.real", 2, "unexpected character '.'"),
        ("x[0]", 2, "unexpected character"),
        ("'a'", 1, "unexpected character"),
        ("exp(x, 2)", 1, "takes 1 argument, not 2"),
        ("min(x)", 1, "at least 2 arguments, not 1"),
        ("exp + 1", 1, "needs arguments in parentheses"),
        ("((a)", 1, "opened and never closed"),
        ("a)", 2, "found '\\)'"),
        ("a = b = c", 7, "a further ="),
        ("exp = a", 5, "Expected"),
        ("1e999", 1, "too large"),
        ("E + A/N^1e-400", 9, "so small that a computer holds it as zero"),
        ("a; b", 2, "unexpected character ';'"),
        ("lambda x: x", 9, "unexpected character ':'"),
        ("(" * 51 + "a" + ")" * 51, 51, "nested more than 50 deep"),
        ("-" * 60 + "a", 51, "nested"),
        ("a" + "+a" * 2000, 4001, "more than 4000 characters"),
    ],
)
def test_mistakes_are_named_with_their_position(text: str, position: int, message: str) -> None:
    with pytest.raises(ExpressionError, match=message) as caught:
        parse_equation(text)
    if text not in {"exp = a", "((a)"}:
        assert caught.value.position == position


@given(st.text(max_size=60))
@settings(max_examples=200, deadline=None)
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        parse_equation(text)
    except ExpressionError as error:
        position = error.position
    else:
        return
    assert 1 <= position <= len(text) + 1


LEAVES = st.sampled_from(["x", "a", "b", "2", "0.5"])
FUNCTIONS = ["exp", "sin", "cos", "tanh", "atan", "logistic"]
TREES = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from("+-*/"), inner).map(lambda t: f"({t[0]} {t[1]} {t[2]})"),
        st.tuples(st.sampled_from(["exp", "sin", "cos", "tanh", "atan", "logistic"]), inner).map(
            lambda t: f"{t[0]}({t[1]})"
        ),
        inner.map(lambda t: f"(0.1 + ({t})^2)^b"),
        inner.map(lambda t: f"log(1 + ({t})^2)"),
        inner.map(lambda t: f"sqrt(1 + ({t})^2)"),
        st.tuples(inner, inner).map(lambda t: f"max({t[0]}, {t[1]} + 0.01)"),
    ),
    max_leaves=8,
)


@given(TREES, st.floats(0.3, 1.7), st.floats(0.3, 1.7))
@settings(max_examples=150, deadline=None)
def test_first_and_second_derivatives_match_differences(text: str, a: float, b: float) -> None:
    equation = parse_equation(text)
    known = Differentiator(equation.graph)
    first = [known.derivative(equation.root, name) for name in "ab"]
    second = [known.derivative(node, name) for node in first for name in "ab"]
    tape = make_tape(equation.graph, [equation.root, *first, *second], {"x": np.linspace(0.4, 1.6, 5)})

    def at(a: float, b: float) -> list[np.ndarray]:
        outputs = tape.run({"a": np.array([[a]]), "b": np.array([[b]])})
        return [np.broadcast_to(x, (1, 5)) for x in outputs]

    here, h = at(a, b), 1e-5
    size = max(1.0, *(float(np.abs(x).max()) for x in here))
    if not size < 1e4:
        return
    for k, (da, db) in enumerate([(h, 0.0), (0.0, h)]):
        ahead, behind = at(a + da, b + db), at(a - da, b - db)
        for row in range(3):
            difference = (ahead[row] - behind[row]) / (2 * h)
            exact = here[1 + k] if row == 0 else here[3 + 2 * (row - 1) + k]
            # A kink of max may lie between the two points that the difference spans.
            assert np.median(np.abs(difference - exact)) < 1e-4 * size**2


@given(TREES)
@settings(max_examples=100, deadline=None)
def test_values_agree_with_python_arithmetic(text: str) -> None:
    # Only here, on text of our own making, may Python evaluate it.
    tree = ast.parse(text.replace("^", "**"), mode="eval")
    known = {name: getattr(math, name) for name in ("exp", "sin", "cos", "tanh", "atan", "log", "sqrt")}
    names = {**known, "max": max, "logistic": lambda x: 1 / (1 + math.exp(-x)), "x": 0.7, "a": 1.3, "b": 0.6}
    try:
        expected = eval(compile(tree, "test", "eval"), {"__builtins__": {}}, names)
    except (OverflowError, ZeroDivisionError):
        return
    assert value(text, x=0.7, a=1.3, b=0.6) == pytest.approx(expected, rel=1e-9, abs=1e-12)


def test_zero_to_a_power_has_no_slope_in_its_exponent() -> None:
    equation = parse_equation("y = x^b")
    slope = Differentiator(equation.graph).derivative(equation.root, "b")
    tape = make_tape(equation.graph, [equation.root, slope], {"x": np.array([0.0, 2.0])})
    power, by_exponent = tape.run({"b": np.array([[2.0]])})
    assert power.tolist() == [[0.0, 4.0]]
    assert by_exponent[0].tolist() == pytest.approx([0.0, 4.0 * math.log(2.0)])
