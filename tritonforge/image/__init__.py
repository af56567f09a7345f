"""A container image for one model repository: its Dockerfile, its packages, locked, and its compose file."""

from tritonforge.image.compose import check_compose, composing
from tritonforge.image.context import SLIM_RELEASE, ImageOptions, check_python, write_context
from tritonforge.image.copied import from_elsewhere
from tritonforge.image.errors import ImageError
from tritonforge.image.requirements import project_requirements, required_packages

__all__ = [
    "SLIM_RELEASE",
    "ImageError",
    "ImageOptions",
    "check_compose",
    "check_python",
    "composing",
    "from_elsewhere",
    "project_requirements",
    "required_packages",
    "write_context",
]
