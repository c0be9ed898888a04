"""Charts as files and as parts of the page: PNG, Vega-Lite spec, SVG, and the script that makes them interactive."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, TypeAlias

from scaling_cli.report.figures import Figure
from scaling_cli.report.theme import Scale, as_variables, config

VegaLiteSpec: TypeAlias = dict[str, Any]
PNG_SCALE = 2.0
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

    @property
    def embedded_spec(self) -> str:
        """The spec as JSON."""
        return json.dumps(self.spec, separators=(",", ":"), ensure_ascii=False)


def render(figure: Figure, scales: Sequence[Scale]) -> Rendered:
    """Return a figure drawn once: the PNG is made from the same SVG as the page's."""
    if figure.chart is None:
        return Rendered(figure)
    import vl_convert

    spec: VegaLiteSpec = {**figure.chart.to_dict(), "config": config(), "description": figure.alt}
    svg = vl_convert.vegalite_to_svg(spec, show_warnings=False)
    png = vl_convert.svg_to_png(svg, scale=PNG_SCALE)
    return Rendered(figure, spec, _inline(svg, figure.name, scales), png)


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
