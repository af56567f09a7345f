"""How to mend in a container what would be mended otherwise on this machine: its Python is the image's."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

from tritonforge.errors import Diagnostic
from tritonforge.server.diagnosis.hints import INSTALL
from tritonforge.server.errors import ModelLoadError

__all__ = ["hints_of_image", "telling_of_image"]


def hints_of_image(found: Sequence[Diagnostic]) -> list[Diagnostic]:
    """Have packages that are missing put into the image, not into a Python of this machine."""
    return [replace(each, hint=_into_image(each.hint)) if each.hint.startswith(INSTALL) else each for each in found]


@contextmanager
def telling_of_image() -> Iterator[None]:
    """Have the block's models that don't load in a container told with the hints of one.

    Raises:
        ModelLoadError: the block's, retold.
    """
    try:
        yield
    except ModelLoadError as error:
        retold = ModelLoadError(hints_of_image(error.diagnostics))
        retold.log = error.log
        raise retold from error


def _into_image(hint: str) -> str:
    package = hint.rpartition(" ")[2]
    return f'the image lacks it: name it in requirements=["{package}"], build, and make it anew: tritonforge image'
