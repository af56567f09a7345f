"""Requirements that can't be had together: who asks for them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tritonforge.image.errors import ImageError
from tritonforge.image.requirements import NUMPY
from tritonforge.manifest import read_manifest

__all__ = ["naming_models"]

_CONFLICT = re.compile(r"Cannot install (?P<packages>.+) because these package versions have conflicting dependencies")
_NAME = re.compile(r"[A-Za-z0-9][\w.-]*")


@contextmanager
def naming_models(repository: Path, project: Iterable[str] = ()) -> Iterator[None]:
    """Have a conflict that pip finds in the block name the models whose requirements it has, or the project's.

    Raises:
        ImageError: the block's, with that.
    """
    try:
        yield
    except ImageError as error:
        found = _CONFLICT.search(str(error))
        if found is None:
            raise
        named = {_canonical(word) for word in _NAME.findall(found["packages"])}
        raise ImageError(f"{error}\n  hint: {_hint(_asking(repository, project, named), named)}") from error


def _asking(repository: Path, project: Iterable[str], named: set[str]) -> list[str]:
    """Say who asks for packages of some names, and how."""
    models = read_manifest(repository).get("models", {})
    asked = {name: entry.get("requirements", ()) for name, entry in sorted(models.items())}
    if not any(asked.values()):
        asked = {"pyproject.toml": tuple(project)}
    wanted = {who: [str(one) for one in all_of if _package(str(one)) in named] for who, all_of in asked.items()}
    return [f"{who} asks for {', '.join(some)}" for who, some in wanted.items() if some]


def _hint(asking: list[str], named: set[str]) -> str:
    if "numpy" in named:
        asking = [*asking, f"{NUMPY} is the embedded server's limit, and no model's"]
    else:
        asking = [*asking, "a model that needs versions of its own has them by environment="]
    return "; ".join(asking)


def _package(requirement: str) -> str:
    name = _NAME.match(requirement.strip())
    return _canonical(name[0]) if name else ""


def _canonical(name: str) -> str:
    """Write a package's name as all of its spellings are told to be one."""
    return re.sub(r"[-_.]+", "-", name).lower().strip("-")
