"""One command a module. What is slow to import is imported where it is used: `scaling --help` answers at once."""
