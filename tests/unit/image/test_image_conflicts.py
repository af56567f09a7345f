"""Requirements of several models that can't be had together."""

from __future__ import annotations

from pathlib import Path

import pytest

from tritonforge.build import build
from tritonforge.image import ImageError
from tritonforge.image.conflicts import naming_models

MODEL = """
@model(requirements=[{requirements}])
def {name}(x: Float32[np.ndarray, "batch 4"]) -> Float32[np.ndarray, "batch 4"]:
    return x * 2
"""
ONE_OF = "pip can't get the image's packages: ERROR: Cannot install {} because these package versions have conflicting"


def told(repository: Path, packages: str, project: tuple[str, ...] = ()) -> str:
    """Give the hint on a conflict that pip finds."""
    said = f"{ONE_OF.format(packages)} dependencies."
    with pytest.raises(ImageError) as error, naming_models(repository, project):
        raise ImageError(said)
    assert str(error.value).startswith(f"{said}\n  hint: ")
    return str(error.value).removeprefix(f"{said}\n  hint: ")


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """Models of which some ask for the same package in different versions."""
    asked = {"old": '"Some_Package==1.0", "pandas"', "new": '"some.package>=2"', "none": ""}
    models = "".join(MODEL.format(name=name, requirements=some) for name, some in asked.items())
    head = "import numpy as np\nfrom jaxtyping import Float32\n\nfrom tritonforge import model\n\n"
    (tmp_path / "serving.py").write_text(head + models)
    build([tmp_path / "serving.py"], tmp_path / "models")
    return tmp_path / "models"


def test_the_models_are_named_whose_definitions_ask_for_what_conflicts(repository: Path) -> None:
    assert told(repository, "Some_Package==1.0 and some.package>=2") == (
        "new asks for some.package>=2; old asks for Some_Package==1.0; "
        "a model that needs versions of its own has them by environment="
    )


def test_the_limit_of_numpy_is_the_servers(repository: Path) -> None:
    assert told(repository, "numpy<2 and >=1.26 and pandas") == (
        "old asks for pandas; numpy>=1.26,<2 is the embedded server's limit, and no model's"
    )


def test_where_no_model_asks_it_is_the_project(tmp_path: Path) -> None:
    assert told(tmp_path, "a==1 and a==2", ("a==1", "a==2", "b")).startswith("pyproject.toml asks for a==1, a==2;")


def test_what_else_pip_says_stays(repository: Path) -> None:
    with pytest.raises(ImageError) as error, naming_models(repository):
        raise ImageError("pip can't get the image's packages: no space left")
    assert str(error.value) == "pip can't get the image's packages: no space left"
