"""Fits of forms whose formula depends on the table, or that take several steps."""
