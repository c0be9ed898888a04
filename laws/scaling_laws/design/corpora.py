"""Corpora whose text is known beforehand."""

PYTHON_CORPUS_FINGERPRINT = "b4a2e3fb673175708100f51de7d1c8876082b15161041b1569fb99a6591fc22f"
"""SHA-256 over the .py files of SymPy 1.14.0: planning needs no copy of the text."""
