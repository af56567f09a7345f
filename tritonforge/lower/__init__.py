"""Lowering: definitions into the representation of a repository."""

from tritonforge.lower.choice import Choice
from tritonforge.lower.closure import Gathered, gather
from tritonforge.lower.files import lower_files
from tritonforge.lower.repository import lower
from tritonforge.lower.weights import lower_weights

__all__ = ["Choice", "Gathered", "gather", "lower", "lower_files", "lower_weights"]
