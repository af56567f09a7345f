"""A library of the user's own."""
