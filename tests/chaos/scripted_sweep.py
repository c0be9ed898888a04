"""Run a sweep of scripted trials to its end: 60 trials of 0.2 s, each with a checkpoint every 0.04 s."""

import sys
from pathlib import Path

from scripted_plan import Run, family

TRIALS = family(10, steps=10)
SCRIPT = "pause=0.02 every=2"

if __name__ == "__main__":
    outcome = Run(Path(sys.argv[1]), TRIALS, SCRIPT, lanes=4)()
    sys.exit(0 if len(outcome.records) == len(TRIALS) and outcome.stopped is None else 1)
