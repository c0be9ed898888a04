"""The driver of an experiment: takes the plan, hands trials out, journals what comes of them, serves the rows."""
