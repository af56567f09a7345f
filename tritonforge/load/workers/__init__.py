"""Processes that load, and the parent's side of them."""
