"""How the command was called."""

import sys
from pathlib import PurePath

PLUGIN = "kubectl-scaling"


def program() -> str:
    """Return what people type: `kubectl scaling` where kubectl found the command as its plugin."""
    return "kubectl scaling" if PurePath(sys.argv[0]).name == PLUGIN else "scaling"
