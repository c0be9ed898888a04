"""The folder's own modules."""

import sys
from pathlib import Path

# Lanes' processes find the scripted trials there too: they inherit the module paths.
sys.path.insert(0, str(Path(__file__).parent))
