"""The shared libpython: the one of this very version is found."""

from __future__ import annotations

import platform
from pathlib import Path

from tritonforge.server.installed.libpython import SONAME, Libpython, choose_libpython, find_libpythons


def test_finds_one_of_this_version() -> None:
    """The search ends with it."""
    found = find_libpythons()
    assert found[-1].version == platform.python_version()
    assert found[-1].path.is_file()
    assert SONAME.startswith("libpython3.")


def test_another_patch_release_is_not_chosen() -> None:
    """It would serve simple models, and fail in others."""
    right = Libpython(Path("/right"), platform.python_version())
    wrong = Libpython(Path("/wrong"), "3.0.0")
    assert choose_libpython((wrong, right)) == right
    assert choose_libpython((wrong,)) is None
