"""Pipelines: pruning, quantization, and what a compressed model weighs."""
