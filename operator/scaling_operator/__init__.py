"""The control plane: moves each experiment one step closer to its spec."""
