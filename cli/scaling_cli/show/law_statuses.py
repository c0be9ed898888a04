"""Laws as a status keeps them, shown as those of a run are."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from scaling_cli.show.laws import finding_blocks, law_blocks
from scaling_cli.show.numbers import significant
from scaling_cli.show.tables import new_table

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table

    from scaling_api.v1alpha1.status import Coefficient, LawStatus
    from scaling_laws.law import Law

_TWO_STAGES = "Joint"
"""The form whose law has penalties of pipelines beside the dense coefficients."""


def law_status_blocks(laws: "Sequence[LawStatus]") -> "Iterator[RenderableType]":
    """Yield what to print of each law: coefficients with intervals, findings, or why there is none."""
    from rich.text import Text

    shown: list[LawStatus] = []
    for law in laws:
        yield Text()
        yield from _law(law, shown)


def _law(law: "LawStatus", shown: "list[LawStatus]") -> "Iterator[RenderableType]":
    from rich.text import Text

    if law.refused is not None:
        code = next((finding.code for finding in law.findings), "no law")
        yield Text.assemble((law.name, "bold"), f"  {law.form}")
        yield from finding_blocks([(f"refused, {code}", law.refused)])
        return
    dense, penalties = _parts(law)
    same = next((other.name for other in shown if _parts(other)[0] == dense), None)
    if same is not None:
        yield Text.assemble((law.name, "bold"), f"  {law.form}: the dense law is that of {same}")
    else:
        yield from law_blocks(_as_law(law, dense), title=law.name)
        shown.append(law)
    if penalties:
        yield Text("\nWhat compression costs, in nats above the control", style="bold")
        yield _penalties(law, penalties)
    codes = {(f.code, f.message) for other in shown if same == other.name for f in other.findings}
    yield from finding_blocks((f.code, f.message) for f in law.findings if (f.code, f.message) not in codes)


def _parts(law: "LawStatus") -> "tuple[tuple[Coefficient, ...], tuple[Coefficient, ...]]":
    """Return the coefficients of the dense law and those of pipelines' penalties, such as `int3.k`."""
    penalties = tuple(c for c in law.coefficients if law.form == _TWO_STAGES and "." in c.name)
    return tuple(c for c in law.coefficients if c not in penalties), penalties


def _as_law(law: "LawStatus", coefficients: "Sequence[Coefficient]") -> "Law":
    """Return as much of the law as its status keeps; findings are shown on their own, also ones unknown here."""
    import numpy as np

    from scaling_laws.law import Estimate, IntervalMethod, Law

    known = {method.value for method in IntervalMethod}
    method = law.interval_method if law.interval_method in known else IntervalMethod.NONE
    return Law(
        form=law.form,
        formula=law.formula.partition(";")[0],
        coefficients=tuple(Estimate(c.name, c.value, c.standard_error, c.lower, c.upper) for c in coefficients),
        objective=float("nan") if law.objective is None else law.objective,
        objective_name="objective",
        points=law.points,
        clusters=None,
        level=law.confidence_level or 0.95,
        interval_method=IntervalMethod(method),
        draws=None,
        residuals=np.empty(0),
        fitted=np.empty(0),
        goodness={} if law.r_squared is None else {"r2": law.r_squared},
        certificate=None,
        findings=(),
        details={},
    )


def _penalties(law: "LawStatus", coefficients: "Sequence[Coefficient]") -> "Table":
    forms = dict(part.strip().partition(": ")[::2] for part in law.formula.split(";")[1:])
    table = new_table("pipeline", "penalty", "coefficient", "value", "standard error", left=("pipeline", "penalty"))
    last = ""
    for coefficient in coefficients:
        pipeline, _, name = coefficient.name.partition(".")
        first = ("", "") if pipeline == last else (pipeline, forms.get(pipeline, "").removeprefix("+ "))
        table.add_row(*first, name, significant(coefficient.value), significant(coefficient.standard_error, 3))
        last = pipeline
    return table
