"""Charts as files and as parts of the page: PNG, Vega-Lite spec, SVG, and the script that makes them interactive."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, TypeAlias

from scaling_cli.report.figures import Figure
from scaling_cli.report.rasteriser import rasterise
from scaling_cli.report.theme import Scale, as_variables, config

VegaLiteSpec: TypeAlias = dict[str, Any]
# Vega's bundle exports this one function to the page.
_SNIPPET = "window.vegaEmbed = vegaEmbed;"


@dataclass(frozen=True)
class Rendered:
    """One figure in every format; nothing where the chart is missing."""

    figure: Figure
    spec: VegaLiteSpec | None = None
    svg: str = ""
    """Colours are CSS variables."""
    png: bytes = b""
    """Nothing also where it could not be rasterised."""

    @property
    def embedded_spec(self) -> str:
        """The spec as JSON."""
        return json.dumps(self.spec, separators=(",", ":"), ensure_ascii=False)


def render(figures: Sequence[Figure], scales: Sequence[Scale]) -> list[Rendered]:
    """Return figures drawn once: the PNGs are made from the same SVGs as the page's."""
    specs = {f.name: _spec(f) for f in figures if f.chart is not None}
    svgs = {name: _svg(spec) for name, spec in specs.items()}
    pngs = rasterise(svgs)
    return [
        Rendered(f, specs[f.name], _inline(svgs[f.name], f.name, scales), pngs.get(f.name, b""))
        if f.name in specs
        else Rendered(f)
        for f in figures
    ]


def _spec(figure: Figure) -> VegaLiteSpec:
    assert figure.chart is not None
    return {**figure.chart.to_dict(), "config": config(), "description": figure.alt}


def _svg(spec: VegaLiteSpec) -> str:
    import vl_convert

    return str(vl_convert.vegalite_to_svg(spec, show_warnings=False))


def pictures_missing(drawn: Sequence[Rendered]) -> str:
    """Return a sentence on the charts without a PNG; empty where there are all."""
    names = [r.figure.name for r in drawn if r.spec is not None and not r.png]
    if not names:
        return ""
    return f"PNGs are missing in charts/: the rasteriser failed on {', '.join(names)}; the page itself has all charts."


@cache
def script_bundle() -> str:
    """Return the JavaScript of Vega, Vega-Lite and Vega-Embed as one text that may stand inside a script element."""
    import vl_convert

    return str(vl_convert.javascript_bundle(_SNIPPET)).replace("</script", "<\\/script").replace("<!--", "<\\!--")


def _inline(svg: str, name: str, scales: Sequence[Scale]) -> str:
    """Return an SVG that may share a page with others: its ids are its own, its colours the page's."""
    numbers = {own: f"{name}-{i}" for i, own in enumerate(dict.fromkeys(re.findall(r'\bid="([^"]+)"', svg)))}
    svg = re.sub(r'(\bid="|url\(#|href="#)([^")]+)', lambda m: m[1] + numbers.get(m[2], m[2]), svg)
    svg = as_variables(svg, scales)
    return svg.replace("<svg ", '<svg aria-hidden="true" focusable="false" ', 1)
