"""Golden samples of models with an environment: made only where the build has the same packages."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pytest
from projects import Project

from tritonforge.build import build
from tritonforge.samples import golden_of

SERVING = """
from importlib.metadata import version

import numpy as np
from jaxtyping import Int64

from tritonforge import String, model, pipeline


@model(environment="own.txt", examples={"x": np.array([1])})
def tiny(x: Int64[np.ndarray, "n"]) -> String[np.ndarray, "n"]:
    return np.array([version("tritonforge-tiny") for _ in x], object)


@model
def more(x: Int64[np.ndarray, "n"]) -> Int64[np.ndarray, "n"]:
    return x + 1


@pipeline
def both(x: Int64[np.ndarray, "n"]) -> String[np.ndarray, "n"]:
    return tiny(more(x))
"""
HINT = "build with these versions installed, or leave it without"


def write_wheel(folder: Path, name: str, version: str) -> None:
    """Write a wheel of a package without content."""
    info = f"{name}-{version}.dist-info"
    folder.mkdir(exist_ok=True)
    with zipfile.ZipFile(folder / f"{name}-{version}-py3-none-any.whl", "w") as wheel:
        wheel.writestr(
            f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name.replace('_', '-')}\nVersion: {version}\n"
        )
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{info}/RECORD", "")


@pytest.fixture
def serving(project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A model with tritonforge-tiny 1.0 in its environment, and pip's packages for it; a cache of its own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    wheels = tmp_path / "wheels"
    write_wheel(wheels, "numpy", np.__version__)
    write_wheel(wheels, "tritonforge_tiny", "1.0")
    project.write({"own.txt": f"--no-index\n--find-links {wheels}\ntritonforge-tiny\n", "serving.py": SERVING})
    return project


def install(folder: Path, version: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have tritonforge-tiny in this Python."""
    info = folder / f"tritonforge_tiny-{version}.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: tritonforge-tiny\nVersion: {version}\n")
    monkeypatch.syspath_prepend(str(folder))


@pytest.mark.parametrize(("here", "told"), [("", "not here"), ("2.0", "here 2.0")])
def test_where_the_build_has_other_packages_there_are_none(
    serving: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, here: str, told: str
) -> None:
    """Neither of the model nor of a pipeline with it; of all others there are."""
    if here:
        install(tmp_path / "here", here, monkeypatch)
    report = build(["serving.py"], serving.output, golden=1)
    words = f"has other packages than this Python: tritonforge-tiny 1.0 ({told})"
    assert [(one.code, one.where.subject, one.message, one.hint) for one in report.warnings] == [
        ("TF414", "both", f"it has no golden samples, since the environment of tiny {words}", HINT),
        ("TF414", "tiny", f"it has no golden samples, since its environment {words}", HINT),
    ]
    assert [len(golden_of(serving.output, name)) for name in ("both", "more", "tiny")] == [0, 1, 0]


def test_where_the_build_has_the_same_packages_there_are_some_and_they_are_kept(
    serving: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A later build on another machine has no need to make them again."""
    with monkeypatch.context() as patch:
        install(tmp_path / "here", "1.0", patch)
        assert build(["serving.py"], serving.output, golden=1).warnings == ()
    assert build(["serving.py"], serving.output).warnings == ()
    (sample,) = golden_of(serving.output, "tiny")
    assert sample.outputs["output"].tolist() == [b"1.0"]
    assert len(golden_of(serving.output, "both")) == 1


def test_of_many_packages_a_few_are_named(serving: Project, tmp_path: Path) -> None:
    names = [f"tritonforge_tiny{letter}" for letter in "edcba"]
    for name in names:
        write_wheel(tmp_path / "wheels", name, "1.0")
    with (serving.root / "own.txt").open("a") as requirements:
        requirements.write("\n".join(names))
    (_, warning) = build(["serving.py"], serving.output, golden=1).warnings
    first = ", ".join(f"tritonforge-tiny{letter} 1.0 (not here)" for letter in ("", "a", "b"))
    assert warning.message.endswith(f": {first} and 3 more")
