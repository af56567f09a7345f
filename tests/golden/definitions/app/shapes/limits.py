"""A constant of the package."""

LIMIT = 1.0
