"""A law as a table of coefficients, with what its reader must know."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from scaling_cli.show.numbers import significant, some
from scaling_cli.show.tables import new_table

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table
    from rich.text import Text

    from scaling_laws.law import Estimate, Finding, Law

_GOOD_NEWS = frozenset(("Converged",))
_GOODNESS = {
    "r2": "R²", "adjusted_r2": "adjusted R²", "rmse_log": "RMSE of log loss", "rmse": "RMSE",
    "mean_relative_error": "mean relative error", "f": "F", "condition_number": "condition number",
}  # fmt: skip
_DETAILS = {"hc3": "HC3 error", "cr3": "CR3 error", "cv3": "CV3 error", "t": "t", "p": "p", "vif": "VIF"}
_METHODS = {
    "WildClusterBootstrapT": "wild cluster bootstrap-t", "CV3": "cluster jackknife (CV3)",
    "PairsBootstrap": "pairs bootstrap", "ClusterPairsBootstrap": "cluster pairs bootstrap", "HC3": "HC3",
    "LeastSquares": "least squares", "None": "",
}  # fmt: skip


def law_blocks(law: "Law", *, title: str) -> "Iterator[RenderableType]":
    """Yield what to print of a law: headline, coefficients, findings."""
    from rich.text import Text

    yield Text.assemble((title, "bold"), "  ", (law.formula, "italic"))
    yield Text(_headline(law), style="dim")
    yield _coefficients(law)
    yield from finding_lines(law.findings)


def finding_lines(findings: "tuple[Finding, ...]") -> "Iterator[Text]":
    """Yield each finding as a line: its code, then the sentence."""
    from rich.text import Text

    for finding in findings:
        style = "green" if finding.code in _GOOD_NEWS else "yellow"
        yield Text.assemble((f"{finding.code}", style), ": ", finding.message)


def _headline(law: "Law") -> str:
    parts = [some(law.points, "point")]
    if law.clusters is not None:
        parts.append(some(law.clusters, "trajectory", "trajectories"))
    parts.append(f"{law.objective_name} {significant(law.objective)}")
    parts += [
        f"{words} {significant(law.goodness[name], 4)}" for name, words in _GOODNESS.items() if name in law.goodness
    ]
    return " · ".join(parts)


def _coefficients(law: "Law") -> "Table":
    details = [name for name in _DETAILS if any(name in extras for extras in law.details.values())]
    has_errors = any(c.standard_error is not None for c in law.coefficients)
    has_limits = any(c.lower is not None for c in law.coefficients)
    columns = ["coefficient", "value"]
    columns += ["standard error"] if has_errors else []
    columns += [f"{law.level:.0%} interval"] if has_limits else []
    table = new_table(*columns, *(_DETAILS[name] for name in details), left=("coefficient",))
    if method := _METHODS.get(law.interval_method, law.interval_method):
        table.caption, table.caption_justify, table.caption_style = f"intervals: {method}", "left", "dim"
    for coefficient in law.coefficients:
        cells = [coefficient.name, significant(coefficient.value)]
        cells += [significant(coefficient.standard_error, 3)] if has_errors else []
        cells += [_limits(coefficient)] if has_limits else []
        table.add_row(*cells, *_extras(law.details.get(coefficient.name, {}), details))
    return table


def _extras(extras: Mapping[str, float], names: list[str]) -> list[str]:
    return [significant(extras.get(name), 3) for name in names]


def _limits(coefficient: "Estimate") -> str:
    if coefficient.lower is None or coefficient.upper is None:
        return "–"
    return f"[{significant(coefficient.lower, 5)}, {significant(coefficient.upper, 5)}]"
