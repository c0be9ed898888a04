"""What an experiment spends, and the limits of its budget: on a cluster and on one machine the same."""
