"""Tensors in a GPU's memory that a server on this machine maps."""
