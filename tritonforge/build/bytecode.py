"""What Python keeps of a module that it has compiled: beside installed packages, nowhere in a user's folders."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.machinery import SourceFileLoader
from pathlib import Path
from typing import Any

from tritonforge.build.sources import is_installed

__all__ = ["kept_of_packages"]


@contextmanager
def kept_of_packages() -> Iterator[None]:
    """Have Python keep bytecode in the block of installed packages alone, unless it is told to keep none.

    Some installers leave packages without: imports of scikit-learn take three times as long then, in each build.
    """
    keep = SourceFileLoader.set_data

    def set_data(loader: SourceFileLoader, path: str, data: Any, **mode: Any) -> None:
        if is_installed(Path(path).resolve()):  # the folders of packages are, too
            keep(loader, path, data, **mode)

    SourceFileLoader.set_data = set_data  # type: ignore[method-assign,assignment]
    try:
        yield
    finally:
        SourceFileLoader.set_data = keep  # type: ignore[method-assign]
