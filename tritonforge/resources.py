"""Where the folders that ship beside the code are: in an installed wheel, and in a checkout."""

from __future__ import annotations

from pathlib import Path

__all__ = ["model_templates", "python_backends"]

_PACKAGE = Path(__file__).resolve().parent


def model_templates() -> Path:
    """Find the folder of templates of what is generated."""
    return _shipped("model_templates")


def python_backends() -> Path:
    """Find the folder of code that runs inside Triton."""
    return _shipped("python_backends")


def _shipped(name: str) -> Path:
    """Find a folder: below the package in a wheel, beside it in a checkout."""
    for folder in (_PACKAGE / "_shipped" / name, _PACKAGE.parent / name):
        if folder.is_dir():
            return folder
    raise FileNotFoundError(f"tritonforge's folder {name} is missing; install the package again")
