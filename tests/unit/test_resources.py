"""Folders that ship beside the code."""

from __future__ import annotations

from pathlib import Path

import pytest

from tritonforge import resources


def test_a_checkout_has_its_folders_beside_the_package() -> None:
    assert (resources.model_templates() / "model.py.j2").is_file()
    assert (resources.python_backends() / "tritonforge_runtime" / "__init__.py").is_file()


def test_a_wheel_has_them_inside_the_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shipped = tmp_path / "tritonforge" / "_shipped" / "python_backends"
    shipped.mkdir(parents=True)
    monkeypatch.setattr(resources, "_PACKAGE", tmp_path / "tritonforge")
    assert resources.python_backends() == shipped


def test_a_broken_installation_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resources, "_PACKAGE", tmp_path)
    with pytest.raises(FileNotFoundError, match="tritonforge's folder model_templates is missing; install the package"):
        resources.model_templates()
