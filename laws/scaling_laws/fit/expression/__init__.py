"""The engine for forms that are no sum of power laws: users' own expressions, and inner non-linearities."""
