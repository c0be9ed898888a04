"""Where the chart is."""

from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
CHART = REPOSITORY / "charts/scaling-operator"
