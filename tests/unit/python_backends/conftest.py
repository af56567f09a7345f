"""Puts the runtime and a stand-in for Triton's own module where tests import them from."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).resolve().parent
BACKENDS = HERE.parents[2] / "python_backends"
sys.path += [str(HERE), str(BACKENDS), str(BACKENDS / "onnxruntime"), str(BACKENDS / "pytorch")]

import stub_utils  # noqa: E402

stub_utils.install()

MODEL = """
from tritonforge_runtime import PythonModel


class TritonPythonModel(PythonModel):
    module = {module!r}
    attribute = {attribute!r}
    paths = ("source",)
    text = {text!r}
"""


@pytest.fixture
def imports(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Forget what a test imports, the stand-in for `tritonforge` among it."""
    before = dict(sys.modules)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(sys, "meta_path", list(sys.meta_path))
    yield
    for name in set(sys.modules) - set(before):
        del sys.modules[name]
    sys.modules.update(before)


@pytest.fixture
def serve(tmp_path: Path, imports: None) -> Callable[..., Any]:
    """Make a model of some source text and load it, as Triton would; `files` are further ones, by name."""

    def make(
        source: str, args: dict[str, str], *, attribute: str = "predict", text: tuple[str, ...] = (), **files: str
    ) -> Any:
        folder = tmp_path / "source"
        for name, content in {"fraud": source, **files}.items():
            file = folder / f"{name.replace('__', '/')}.py"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(content)
        shim = tmp_path / "shim_of_fraud.py"
        shim.write_text(MODEL.format(module="fraud", attribute=attribute, text=text))
        sys.path.insert(0, str(tmp_path))
        model = __import__("shim_of_fraud").TritonPythonModel()
        model.initialize(args)
        return model

    return make
