"""Colours and type of charts, chosen once: each colour is a role with a light and a dark value.

Charts are drawn with the light values (PNG, SVG and specs stand alone). In the page each light value becomes the
CSS variable of its role, so that one drawing serves light mode, dark mode and print.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

# Pairs (light, dark). Every light value appears once: `as_variables` tells roles apart by it.
ROLES = {
    "surface": ("#ffffff", "#151b26"),
    "ink": ("#1b2533", "#e6ebf2"),
    "muted": ("#566173", "#9fabbd"),
    "axis": ("#8a94a3", "#5d6a7d"),
    "grid": ("#e6eaf0", "#262f3d"),
    "frontier": ("#c8461a", "#ff9466"),
    "pareto": ("#111827", "#f3f6fa"),
    "above": ("#b3541e", "#f0a267"),
    "below": ("#2166ac", "#7db8ea"),
    "terrain": ("#3b6fb6", "#5f9be6"),
}
# Okabe and Ito's palette (2008), darkened to 3:1 on white and lightened for dark mode; the dense model is neutral.
PIPELINES = (
    ("#4a5568", "#b6c2d2"),
    ("#0072b2", "#56b4e9"),
    ("#d0560a", "#ff9d5c"),
    ("#00855f", "#3ecfa3"),
    ("#b8478d", "#f097cc"),
    ("#8a6d00", "#e8c53a"),
    ("#6a4fb3", "#b9a3f5"),
    ("#9c2f2f", "#f28b8b"),
)
SHAPES = ("circle", "square", "triangle-up", "diamond", "triangle-down", "cross", "triangle-right", "triangle-left")
# Sequential: larger models stand out more from the background, in both modes.
_SIZES_LIGHT = ("#35a27f", "#1f83a0", "#2f55a4", "#35256f", "#1c0b3a")
_SIZES_DARK = ("#5d7be0", "#43a6cf", "#4fcba9", "#a6e07f", "#f4f08a")
FONT = "Liberation Sans, Arial, Helvetica, sans-serif"  # vl-convert carries Liberation Sans on every machine
_HEX = re.compile(r'"(#[0-9a-f]{6})"')


def light(role: str) -> str:
    """Return a role's colour on white."""
    return ROLES[role][0]


@dataclass(frozen=True)
class Scale:
    """Colours of categories in order, each a CSS variable of its own."""

    prefix: str
    domain: tuple[str, ...]
    colours: tuple[tuple[str, str], ...]
    """Pairs (light, dark), one a category."""

    @property
    def range(self) -> list[str]:
        """Light colours, as specs hold them."""
        return [pair[0] for pair in self.colours]

    @property
    def shapes(self) -> list[str]:
        """A shape for each category, so that colour is never the only sign."""
        return [SHAPES[i % len(SHAPES)] for i in range(len(self.domain))]

    @property
    def roles(self) -> dict[str, tuple[str, str]]:
        """CSS variables with their (light, dark) values."""
        return {f"{self.prefix}{i}": pair for i, pair in enumerate(self.colours)}


def size_scale(labels: Sequence[str]) -> Scale:
    """Return sequential colours for model sizes, smallest first."""
    at = [i / max(1, len(labels) - 1) for i in range(len(labels))]
    pairs = tuple((_between(_SIZES_LIGHT, t), _between(_SIZES_DARK, t)) for t in at)
    return Scale("size-", tuple(labels), pairs)


def pipeline_scale(names: Sequence[str]) -> Scale:
    """Return categorical colours for pipelines; beyond eight they repeat, told apart by shape and label."""
    return Scale("pipeline-", tuple(names), tuple(PIPELINES[i % len(PIPELINES)] for i in range(len(names))))


def as_variables(text: str, scales: Sequence[Scale]) -> str:
    """Return a chart (JSON or SVG) with each known quoted colour replaced by its role's CSS variable."""
    names = {pair[0]: role for scale in scales for role, pair in scale.roles.items()}
    names |= {pair[0]: role for role, pair in ROLES.items()}
    return _HEX.sub(lambda m: f'"var(--{names[m[1]]})"' if m[1] in names else m[0], text)


def css_variables(scales: Sequence[Scale], *, dark: bool) -> str:
    """Return CSS declarations of all roles, for light or dark mode."""
    roles = ROLES | {role: pair for scale in scales for role, pair in scale.roles.items()}
    return "".join(f"--{role}:{pair[dark]};" for role, pair in roles.items())


def config() -> dict[str, object]:
    """Return the Vega-Lite configuration that all charts share."""
    label = {"labelColor": light("muted"), "labelFontSize": 11.5, "titleColor": light("ink"), "titleFontSize": 12.5}
    return {
        "background": light("surface"),
        "font": FONT,
        "aria": False,  # the page describes each chart in one text; thousands of labelled marks would drown it
        "view": {"stroke": None},
        "axis": label
        | {
            "titleFontWeight": 600,
            "titlePadding": 9,
            "labelPadding": 5,
            "gridColor": light("grid"),
            "domainColor": light("axis"),
            "tickColor": light("axis"),
            "tickSize": 4,
            "labelOverlap": True,
        },
        "legend": label
        | {
            "orient": "top",
            "direction": "horizontal",
            "titleFontWeight": 600,
            "symbolStrokeWidth": 1.6,
            "symbolSize": 75,
            "columnPadding": 14,
            "titleOrient": "left",
            "offset": 6,
            "labelLimit": 220,
            "columns": 8,
        },
        "header": label | {"labelFontWeight": 600, "labelColor": light("ink")},
        "line": {"strokeCap": "round"},
    }


def _between(anchors: Sequence[str], t: float) -> str:
    """Return the colour at t in [0, 1] along the anchors."""
    place = t * (len(anchors) - 1)
    i = min(int(place), len(anchors) - 2)
    low, high = _channels(anchors[i]), _channels(anchors[i + 1])
    return "#" + "".join(f"{round(a + (b - a) * (place - i)):02x}" for a, b in zip(low, high, strict=True))


def _channels(colour: str) -> tuple[int, ...]:
    return tuple(int(colour[i : i + 2], 16) for i in (1, 3, 5))
