"""The scripted trials of the executor's tests serve here too."""

import sys
from pathlib import Path

FOLDER = Path(__file__).parent
sys.path[:0] = [str(FOLDER), str(FOLDER.parent / "unit" / "executor")]
