"""Connections that carry the load: prepared bytes out, the least reading of what comes back."""
