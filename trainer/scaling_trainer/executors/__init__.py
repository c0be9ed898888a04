"""Executors run the trials of a plan: each on its own kind of machine, all with the same events and records."""
