"""What of a repository's models can't be copied into an image, and what goes there from elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from tritonforge.image.errors import ImageError
from tritonforge.server.repository.folder import circles, model_folders

__all__ = ["from_elsewhere", "refuse_uncopied"]


def refuse_uncopied(repository: Path) -> None:
    """Refuse links in models that lead nowhere or in a circle, and what is neither a file nor a folder.

    Raises:
        ImageError: there is one.
    """
    for link in circles(repository):
        reason = f"{link}: the link leads to a folder that it lies in, {link.resolve()}"
        raise ImageError(f"{reason}\n  hint: remove it: what it leads to would be copied without end")
    for path in _paths(repository):
        if path.is_symlink() and not path.exists():
            reason = f"{path}: the link leads nowhere, to {path.readlink()}"
            raise ImageError(f"{reason}\n  hint: remove it, or have there what it leads to")
        if not path.is_file() and not path.is_dir():
            reason = f"{path}: it is neither a file nor a folder, and can't be copied into an image"
            raise ImageError(f"{reason}\n  hint: remove it")


def from_elsewhere(repository: Path) -> list[Path]:
    """List the links in models that lead out of the repository: an image gets what they lead to."""
    inside = repository.resolve()
    links = (path for path in _paths(repository) if path.is_symlink())
    return [link for link in links if link.exists() and not link.resolve().is_relative_to(inside)]


def _paths(repository: Path) -> Iterator[Path]:
    for model in model_folders(repository):
        yield from sorted(model.rglob("*"))
