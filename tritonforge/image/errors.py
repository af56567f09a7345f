"""What can go wrong on the way to an image, before Docker is asked."""

from __future__ import annotations

from tritonforge.errors import TritonForgeError

__all__ = ["ImageError"]


class ImageError(TritonForgeError):
    """Packages that pip can't find, or that don't go together; a release that the image can't have."""
