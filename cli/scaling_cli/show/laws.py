"""A law as a table of coefficients, with what its reader must know."""

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

from scaling_cli.show.numbers import significant, some
from scaling_cli.show.tables import new_table

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table

    from scaling_laws.law import Estimate, Law

_GOOD_NEWS = frozenset(("Converged", "Chosen"))
_DETAILS = {"hc3": "HC3 error", "cr3": "CR3 error", "cv3": "CV3 error", "t": "t", "p": "p", "vif": "VIF"}
_METHODS = {
    "WildClusterBootstrapT": "wild cluster bootstrap-t", "CV3": "cluster jackknife (CV3)",
    "PairsBootstrap": "pairs bootstrap", "ClusterPairsBootstrap": "cluster pairs bootstrap", "HC3": "HC3",
    "LeastSquares": "least squares", "BCa": "bias-corrected pairs bootstrap (BCa)",
    "Hessian": "Hessian of the likelihood", "Sandwich": "sandwich", "Profile": "profile likelihood", "None": "",
}  # fmt: skip


def law_blocks(law: "Law", *, title: str) -> "Iterator[RenderableType]":
    """Yield what to print of a law: headline, coefficients, findings."""
    from rich.text import Text

    yield Text.assemble((title, "bold"), "  ", (law.formula, "italic"))
    yield Text(" · ".join(_headline(law)), style="dim")
    yield _coefficients(law)
    yield from finding_blocks((str(f.code), f.message) for f in law.findings)


def factor_blocks(law: "Law") -> "Iterator[RenderableType]":
    """Yield what each factor of a linear law explains; nothing for other laws."""
    if not law.factors:
        return
    table = new_table(
        "factor", "columns", "spread", "R² alone", "R² added", "share of R²", "p", left=("factor", "columns")
    )
    for factor in law.factors:
        shares = (f"{x:.3f}" for x in (factor.r2_alone, factor.r2_added, factor.share))
        table.add_row(
            factor.name, ", ".join(factor.features), significant(factor.spread, 3), *shares, f"{factor.p:.2g}"
        )
    table.caption = "spread: standard deviation of what the factor contributes; shares add up to R²"
    table.caption_justify, table.caption_style = "left", "dim"
    yield table


def finding_blocks(findings: Iterable[tuple[str, str]]) -> "Iterator[RenderableType]":
    """Yield one block of findings, code beside sentence; none where there are none."""
    from rich.table import Table

    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True, style="yellow")
    table.add_column(overflow="fold")
    for code, message in findings:
        table.add_row(code, message, style="green" if code in _GOOD_NEWS else None)
    if table.row_count:
        yield table


def _headline(law: "Law") -> Iterator[str]:
    yield some(law.points, "point")
    if law.clusters is not None:
        yield some(law.clusters, "trajectory", "trajectories")
    if (r2 := law.goodness.get("r2")) is not None:
        yield f"R² {r2:.4f}"
    if (error := law.goodness.get("mean_relative_error")) is not None:
        yield f"mean error {error:.2%}"
    yield f"{law.objective_name} {significant(law.objective)}"
    if (condition := law.goodness.get("condition_number")) is not None:
        yield f"condition number {significant(condition, 3)}"


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
