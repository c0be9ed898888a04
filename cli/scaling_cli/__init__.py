"""The command: `scaling` on a laptop, `kubectl scaling` on a cluster."""
