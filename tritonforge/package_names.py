"""Packages whose names on the index differ from their modules'."""

from __future__ import annotations

__all__ = ["package_of"]

_PACKAGES = {
    "PIL": "pillow",
    "bs4": "beautifulsoup4",
    "cv2": "opencv-python-headless",
    "dateutil": "python-dateutil",
    "skimage": "scikit-image",
    "sklearn": "scikit-learn",
    "yaml": "PyYAML",
}


def package_of(module: str) -> str:
    """Name the package that has a top-level module; most are named after theirs."""
    return _PACKAGES.get(module, module)
