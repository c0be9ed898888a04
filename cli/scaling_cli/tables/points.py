"""From a table to the points of a fit, with a sentence for each thing that was assumed."""

import math
import re
from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import cast

import numpy as np
from numpy.typing import NDArray

from scaling_cli.errors import CommandError
from scaling_cli.tables.cells import as_count, why_no_number
from scaling_cli.tables.columns import MEANING, ROLES, ColumnMap, map_columns, usual_column
from scaling_cli.tables.quantities import read_quantity
from scaling_cli.tables.sources import MAX_ROWS, Row, RowSource
from scaling_cli.tables.units import UNITED, in_ones, judged
from scaling_cli.tables.where import as_number, parse_condition
from scaling_laws.columns import RESULT_FEATURES, codes, varying_features
from scaling_laws.forms import OWN_FORM, ExpressionForm, Form, LinearForm, TableForm, form_named
from scaling_laws.points import FloatArray, Points

POSITIVE = frozenset(("N", "D", "C", "loss"))
COUNTS = frozenset(("N", "D", "C", "steps"))
"""Roles whose cells may have a suffix or grouped digits."""


DEFAULT_PARAMETERS = "matmul"


@dataclass(frozen=True)
class TableOptions:
    """How a table is read."""

    columns: Mapping[str, str] = field(default_factory=dict)
    """Column of each role or feature, where the user says it."""
    features: tuple[str, ...] = ()
    """Of a linear law, such as log(N) or pipeline."""
    where: tuple[str, ...] = ()
    """Conditions that a row must meet."""
    drop_invalid: bool = False
    """Leave out rows with unusable cells instead of refusing them."""
    also: tuple[str, ...] = ()
    """Further forms that the points will be fitted by: their columns are read where the table has them."""
    with_documents: bool = False
    """Of a results folder: read the losses by held-out document too."""
    units: Mapping[str, float] = field(default_factory=dict)
    """How many one stands for, by role, where the user says it."""
    parameters: str = DEFAULT_PARAMETERS
    """What N counts, where the table knows several: matmul, blocks or total."""


@dataclass(frozen=True)
class TablePoints:
    """Points and how they were read."""

    points: Points
    columns: Mapping[str, str]
    """Column of each role and feature in use."""
    notes: tuple[str, ...]
    """Sentences."""
    features: tuple[str, ...] = ()
    """Of a linear law: those asked for, or those that results have by themselves."""


def read_points(source: RowSource, form: str, options: TableOptions, *, name: str) -> TablePoints:
    """Return the points that a form is fitted on.

    Raises:
        CommandError: columns are missing or ambiguous, cells are no numbers, or there are no rows.
    """
    asked = options.features
    if is_export(source.header):
        options = _for_export(options, is_linear=isinstance(form_named(form), LinearForm))
    elif options.parameters != DEFAULT_PARAMETERS:
        raise CommandError(
            f"{name}: --parameters {options.parameters} is for results folders and tables of `scaling trials`, which "
            "have several counts; here say which column is meant: --columns N=…"
        )
    mapping = _mapping(source.header, form_named(form), options, name=name)
    columns, notes = _read(source, mapping, options, name=name)
    points = _points(columns, mapping, notes, form=form_named(form), units=options.units, name=name)
    features = asked or varying_features(points, options.features)
    return TablePoints(points, {**mapping.roles, **mapping.features}, tuple(notes), features)


def is_export(header: Sequence[str]) -> bool:
    """Whether a table was written by `scaling trials`."""
    return {"trial", "trajectory", "used_in", "N_matmul"} <= set(header)


def _for_export(options: TableOptions, *, is_linear: bool) -> TableOptions:
    """Read an export as its results folder would be read: the same rows, N by the same convention."""
    known = {"N": f"N_{options.parameters}", "cluster": "trajectory"}
    rows = "used_in!=" if is_linear else "used_in=dense"
    features = options.features or (RESULT_FEATURES if is_linear else ())
    return replace(options, columns={**known, **options.columns}, where=(rows, *options.where), features=features)


def base_name(feature: str) -> str:
    """Return the column behind a feature: `N` for `log(N)`."""
    match = re.fullmatch(r"log\((.+)\)", feature)
    return match[1] if match else feature


def _mapping(header: Sequence[str], form: Form, options: TableOptions, *, name: str) -> ColumnMap:
    if isinstance(form, LinearForm):
        wanted = options.features or _present(form.default_features, header, options.columns)
        bases = list(dict.fromkeys(base_name(feature) for feature in wanted))
        needed = ["loss", *(role for role in ("N", "D") if role in bases)]
        # A linear law may have no N or D at all; what its table calls so is then a feature like any other.
        further = [base for base in bases if base not in {"N", "D"}]
    elif isinstance(form, ExpressionForm):
        needed, further = _of_expression(form, header, options.columns)
    elif isinstance(form, TableForm):
        needed, further = _of_table(form, header, options)
    else:
        needed = ["N", "D", "loss"]
        further = [variable for variable in form.variables if variable not in {"N", "D"}]
    further = [*further, *(name for name in _of_others(header, options) if name not in further)]
    return map_columns(header, options.columns, needed=needed, features=further, source=name)


def _of_others(header: Sequence[str], options: TableOptions) -> list[str]:
    """Return the columns of the table that further forms use."""
    found: list[str] = []
    for form in (form_named(name) for name in options.also):
        names: Sequence[str] = ()
        if isinstance(form, ExpressionForm):
            _, names = _of_expression(form, header, options.columns)
        elif isinstance(form, TableForm):
            _, names = _of_table(form, header, options)
        found += [name for name in names if name in options.columns or usual_column(name, header)]
    return list(dict.fromkeys(found))


def _of_expression(
    form: ExpressionForm, header: Sequence[str], given: Mapping[str, str]
) -> tuple[list[str], list[str]]:
    """Return the roles and the further columns that an expression uses; what is no column is a coefficient."""
    variables, _ = form.split_names(frozenset({*header, *given, "N", "D", "C"}))
    return _sorted_out({*variables, form.equation.response}, header, given)


def _sorted_out(wanted: set[str], header: Sequence[str], given: Mapping[str, str]) -> tuple[list[str], list[str]]:
    """Return the roles and the further columns among names; C is a column of the table, or else 6ND."""
    roles = wanted & {"N", "D", "loss"}
    if "C" in wanted and "C" not in {*header, *given}:
        has_both = all(name in given or usual_column(name, header) for name in ("N", "D"))
        if has_both or not usual_column("C", header):
            roles |= {"N", "D"}
            wanted = wanted - {"C"}
    return sorted(roles), sorted(wanted - {"N", "D", "loss"})


def _of_table(form: TableForm, header: Sequence[str], options: TableOptions) -> tuple[list[str], list[str]]:
    """Return the roles and the further columns of a form that depends on its table."""
    given = options.columns
    named = options.features or tuple(name for name in header if form.prefix and name.startswith(form.prefix))
    uses = [name for name in form.uses if name in given or usual_column(name, header)]
    return _sorted_out({*form.roles, *form.columns, *named, *uses, *_defaults(form, named)}, header, given)


def _defaults(form: TableForm, named: Sequence[str]) -> tuple[str, ...]:
    """Return the variable of a form whose features are none but may be one: compute."""
    return ("C",) if form.takes_features and not form.prefix and not named else ()


def _present(defaults: Sequence[str], header: Sequence[str], given: Mapping[str, str]) -> list[str]:
    return [f for f in defaults if base_name(f) in {"N", "D"} or base_name(f) in header or base_name(f) in given]


@dataclass
class _Column:
    """One column as it is read."""

    name: str
    is_positive: bool
    is_number: bool
    is_count: bool
    cells: "array[float] | list[object]"
    is_checked: bool = False
    """It serves a check alone: no row is refused for it."""
    has_suffixes: bool = False
    bad: int = 0
    first_bad: str = ""

    def judge(self, cell: object, where: str) -> object:
        """Return the cell's value; None, and remember where, when it is unusable."""
        reason, value = self._number(cell) if self.is_number else _present_cell(cell)
        if reason and self.is_checked:
            return math.nan
        if reason:
            self.bad += 1
            self.first_bad = self.first_bad or f"{where} {reason}"
            return None
        return value

    def _number(self, cell: object) -> tuple[str, float]:
        """Return why a cell is unusable, or an empty reason and its number."""
        number = as_number(cell)
        if number is None and self.is_count:
            number = as_count(cell)
            self.has_suffixes |= number is not None and str(cell).strip()[-1].isalpha()
        if number is None:
            reason, _ = _present_cell(cell)
            return reason or why_no_number(cell), 0.0
        if not math.isfinite(number):
            return f"has {number}, which is not finite", 0.0
        if self.is_positive and number <= 0:
            return f"has {number:g}, which is not positive", 0.0
        return "", number


def _present_cell(cell: object) -> tuple[str, object]:
    value = cell.strip() if isinstance(cell, str) else cell
    return ("is empty", "") if value is None or value == "" else ("", value)


def _read(
    source: RowSource, mapping: ColumnMap, options: TableOptions, *, name: str
) -> tuple[dict[str, _Column], list[str]]:
    conditions = [parse_condition(text, source.header, source=name) for text in options.where]
    columns = _columns(mapping)
    wanted = [*(column.name for column in columns.values()), *(condition.column for condition in conditions)]
    seen = kept = taken = 0
    for number, cells in _limited(source.rows(wanted), name=name):
        seen += 1
        tests = cells[len(columns) :]
        if all(condition.keeps(cell) for condition, cell in zip(conditions, tests, strict=True)):
            kept += 1
            taken += _take(columns.values(), cells, where=f"{source.row_word} {number}")
    notes = [f"{kept:,} of {seen:,} rows meet {' and '.join(options.where)}."] if conditions else []
    if taken < kept:
        notes.append(_left_out(columns.values(), kept=kept, taken=taken, may_drop=options.drop_invalid, name=name))
    if not taken:
        raise CommandError(f"{name}: {'no row is left to fit' if seen else 'the table has no rows'}.")
    return columns, notes


def _left_out(columns: Iterable[_Column], *, kept: int, taken: int, may_drop: bool, name: str) -> str:
    bad = [column for column in columns if column.bad]
    parts = (f"{c.bad:,} of {kept:,} rows have no usable {c.name!r} (the first: {c.first_bad})" for c in bad)
    complaint = "; ".join(parts)
    if not may_drop:
        raise CommandError(f"{name}: {complaint}. Correct those rows, or leave them out with --drop-invalid.")
    return f"{kept - taken:,} of {kept:,} rows are left out: {complaint}."


def _columns(mapping: ColumnMap) -> dict[str, _Column]:
    columns = {
        role: _Column(
            column, role in POSITIVE, role != "cluster", role in COUNTS, [] if role == "cluster" else array("d")
        )
        for role, column in mapping.roles.items()
    }
    if {"N", "D", "C"} <= set(columns):
        columns["C"].is_checked = True  # it serves to derive one of them, or else to see whether their units agree
    return columns | {_key(name): _Column(column, False, False, False, []) for name, column in mapping.features.items()}


def _key(feature: str) -> str:
    """Return the key of a feature among columns; C may be a role, from which D is derived, and a feature as well."""
    return f"feature {feature}"


def _limited(rows: Iterator[Row], *, name: str) -> Iterator[Row]:
    for count, row in enumerate(rows):
        if count == MAX_ROWS:
            raise CommandError(
                f"{name}: the table has more than {MAX_ROWS:,} rows. A law is fitted on one row a model: keep each "
                "model's last evaluation."
            )
        yield row


def _take(columns: Iterable[_Column], cells: Sequence[object], *, where: str) -> bool:
    values = [column.judge(cell, where) for column, cell in zip(columns, cells, strict=False)]
    if None in values:
        return False
    for column, value in zip(columns, values, strict=True):
        column.cells.append(value)  # type: ignore[arg-type]  # an array's values are numbers: judge saw to it
    return True


def _points(
    columns: Mapping[str, _Column],
    mapping: ColumnMap,
    notes: list[str],
    *,
    form: Form,
    units: Mapping[str, float],
    name: str,
) -> Points:
    numbers = {role: np.array(columns[role].cells) for role in columns if role in ROLES and role != "cluster"}
    plain = {role for role in numbers if columns[role].has_suffixes}
    notes += in_ones(numbers, mapping.roles, units, plain)
    derived = _derive(numbers, mapping.roles, notes)
    rows = len(next(iter(columns.values())).cells)
    # To a linear law a text is a level, and a law of one's own means what its table holds.
    reads = form.name != OWN_FORM and not isinstance(form, LinearForm)
    features = {f: _feature(columns[_key(f)], f if reads else "", notes, name=name) for f in mapping.features}
    features |= _in_ones(features, mapping.features, units)
    notes += judged(numbers, units, derived=derived, name=name) if _divides_compute(form) else []
    clusters = codes([str(cell) for cell in columns["cluster"].cells]) if "cluster" in columns else None
    # A linear law of other columns needs neither N nor D; an expression may predict another column than the loss.
    ones = np.ones(rows)
    return Points(
        N=numbers.get("N", ones),
        D=numbers.get("D", ones),
        loss=numbers.get("loss", ones),
        clusters=clusters,
        steps=numbers.get("steps"),
        weights=numbers.get("weight"),
        features=features,
    )


def _divides_compute(form: Form) -> bool:
    """Whether a form is a law of N and D, whose units must then go together."""
    if isinstance(form, ExpressionForm):
        return {"N", "D"} <= set(form.equation.names) or "C" in form.equation.names
    if isinstance(form, LinearForm):
        return False
    return {"N", "D"} <= set(form.roles if isinstance(form, TableForm) else form.variables)


def _in_ones(
    features: "Mapping[str, FloatArray | NDArray[np.str_]]", columns: Mapping[str, str], units: Mapping[str, float]
) -> dict[str, FloatArray]:
    """Return features such as C and U counted in ones."""
    counted = {name: x for name, x in features.items() if name in UNITED and x.dtype.kind == "f"}
    numbers = cast(dict[str, FloatArray], counted)
    in_ones(numbers, columns, units, set())
    return numbers


def _derive(numbers: dict[str, FloatArray], roles: Mapping[str, str], notes: list[str]) -> str | None:
    """Derive D or N from C where one of them is missing; return which."""
    for missing, known in (("D", "N"), ("N", "D")):
        if missing not in numbers and known in numbers and "C" in numbers:
            numbers[missing] = numbers["C"] / (6 * numbers[known])
            notes.append(f"{missing} ({MEANING[missing]}) is C/(6{known}), with C = {roles['C']!r}.")
            return missing
    return None


def _feature(column: _Column, quantity: str, notes: list[str], *, name: str) -> FloatArray | NDArray[np.str_]:
    """Return a feature's column; `quantity` is what a published form means by it."""
    if read := read_quantity(quantity, column.cells, column.name):
        values, note = read
        notes += [note] if note else []
    else:
        numbers = [as_number(cell) for cell in column.cells]
        if None in numbers:
            return np.array([str(cell) for cell in column.cells], dtype=np.str_)
        values = np.array(numbers, dtype=np.float64)
    if not np.isfinite(values).all():
        raise CommandError(f"{name}: the column {column.name!r} has values that are not finite; leave those rows out.")
    return values
