"""A package of definitions with relative imports, which exports them again."""

from .pipelines import flagged, graded

__all__ = ["flagged", "graded"]
