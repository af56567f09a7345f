"""What a folder is: a model repository, a model, something that Triton's Python backend can start from."""

from __future__ import annotations

import re
from contextlib import suppress
from pathlib import Path

from tritonforge.manifest import MANIFEST
from tritonforge.repository_files import read_text

__all__ = [
    "CONFIG",
    "config_text",
    "holds_models",
    "is_model",
    "is_repository",
    "model_folders",
    "python_models",
    "shell_safe",
]

CONFIG = "config.pbtxt"


def shell_safe(path: str) -> bool:
    """Tell whether the Python backend can start a stub with a path.

    It writes the path into a line for a shell: with a space in it the stub dies, and the server waits for ever.
    """
    return re.fullmatch(r"[\w@%+=:,./-]+", path) is not None


def is_repository(folder: Path) -> bool:
    """Tell a model repository from a folder of definitions: a manifest, or folders that are models."""
    return (folder / MANIFEST).is_file() or bool(model_folders(folder))


def holds_models(path: Path) -> bool:
    """Tell a repository that a user names from definitions: one that lies among Python files has a manifest."""
    return path.is_dir() and ((path / MANIFEST).is_file() or not any(path.glob("*.py"))) and is_repository(path)


def is_model(folder: Path) -> bool:
    """Tell a model's folder: it holds config.pbtxt, or a folder that is a version's number."""
    try:
        return any(
            (path.name == CONFIG and path.exists() and not path.is_dir()) or (path.name.isdecimal() and path.is_dir())
            for path in folder.iterdir()
        )
    except OSError:
        return False


def model_folders(repository: Path) -> list[Path]:
    """List the folders in a repository that are models, by name."""
    if not repository.is_dir():
        return []
    return sorted(path for path in repository.iterdir() if path.is_dir() and is_model(path))


def config_text(folder: Path) -> str:
    """Read a model's config.pbtxt; empty where it has none, or what can't be read."""
    with suppress(OSError):
        return read_text(folder / CONFIG, errors="replace")
    return ""


def python_models(repository: Path) -> list[str]:
    """Name the models of a repository that are Python: their code runs as the user who serves them."""
    return [folder.name for folder in model_folders(repository) if _is_python(folder)]


def _is_python(folder: Path) -> bool:
    named = re.search(r'\bbackend\s*:\s*["\']python["\']', config_text(folder))
    return named is not None or any(folder.glob("*/model.py"))
