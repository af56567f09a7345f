"""Lowering: definitions into the representation of a repository."""

from tritonforge.lower.closure import Gathered, gather
from tritonforge.lower.repository import lower

__all__ = ["Gathered", "gather", "lower"]
