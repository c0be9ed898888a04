"""The scripted trials of the executor's tests, and the driver's processes, serve here too."""

import sys
from pathlib import Path

FOLDER = Path(__file__).parent
sys.path[:0] = [str(FOLDER), *(str(FOLDER.parent / "unit" / name) for name in ("executor", "driver"))]
