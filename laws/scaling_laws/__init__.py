"""The science: plans, laws and answers. Pure functions of their arguments: no clock, no files, no processes."""
