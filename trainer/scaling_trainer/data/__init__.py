"""Text in, numbered windows of bytes out: the same on every machine, in every process."""
