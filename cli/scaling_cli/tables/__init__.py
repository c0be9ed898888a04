"""Tables of points, from files that others wrote."""
