"""Which package has a module."""

from __future__ import annotations

import pytest

from tritonforge.package_names import package_of


@pytest.mark.parametrize(("module", "package"), [("PIL", "pillow"), ("cv2", "opencv-python-headless"), ("np", "np")])
def test_a_module_is_that_of_a_package(module: str, package: str) -> None:
    assert package_of(module) == package
