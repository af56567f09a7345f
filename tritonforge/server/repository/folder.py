"""What a folder is: a model repository, a model, something that Triton's Python backend can start from."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from tritonforge.manifest import MANIFEST
from tritonforge.repository_files import circular_links, read_text
from tritonforge.text_format import TokenError, tokenize

__all__ = [
    "CONFIG",
    "circles",
    "config_fields",
    "config_text",
    "holds_models",
    "is_model",
    "is_repository",
    "model_folders",
    "python_models",
]

CONFIG = "config.pbtxt"

_OPENING = {*"{<["}
_BRACKETS = {*_OPENING, *"}>]"}


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


def circles(repository: Path) -> list[Path]:
    """List the links in a repository's models that lead to a folder that they lie in."""
    return [model / name for model in model_folders(repository) for name in circular_links(model)]


def config_fields(folder: Path) -> dict[str, tuple[str, int]]:
    """Give the fields that a model's config.pbtxt sets: the string of one, "" if it is none, and its line.

    There are none where it has no configuration, or one that can't be split into tokens, which Triton refuses. A field
    of a field is none here, nor is a value that is a name.
    """
    fields: dict[str, tuple[str, int]] = {}
    depth, field, line = 0, "", 0
    try:
        for token in tokenize(config_text(folder)):
            if field and not depth and (token.kind == "string" or token.text in _OPENING or token.text == ":"):
                fields[field] = (token.text[1:-1] if token.kind == "string" else ""), line
            if token.text in _BRACKETS:
                depth += 1 if token.text in _OPENING else -1
            if token.text != ":":
                field, line = (token.text if token.kind == "name" else ""), token.line
    except TokenError:
        return {}
    return fields


def config_text(folder: Path) -> str:
    """Read a model's config.pbtxt; empty where it has none, or what can't be read."""
    with suppress(OSError):
        return read_text(folder / CONFIG, errors="replace")
    return ""


def python_models(repository: Path) -> list[str]:
    """Name the models of a repository that are Python: their code runs as the user who serves them."""
    return [folder.name for folder in model_folders(repository) if _is_python(folder)]


def _is_python(folder: Path) -> bool:
    return config_fields(folder).get("backend", ("", 0))[0] == "python" or any(folder.glob("*/model.py"))
