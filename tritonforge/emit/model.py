"""The files of one model's folder."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Literal

from jinja2 import Environment, StrictUndefined, Template

from tritonforge import pbtxt
from tritonforge.ir import File, Model, Shim

__all__ = ["Emitter", "Kind", "kind_of"]

Kind = Literal["python", "onnx", "torchscript", "ensemble", "files"]

_KINDS: dict[str, Kind] = {"python": "python", "onnxruntime": "onnx", "pytorch": "torchscript"}


def kind_of(model: Model) -> Kind:
    """Say what runs a model."""
    if model.config.platform == "ensemble":
        return "ensemble"
    return _KINDS.get(model.config.backend, "files")


@dataclass(frozen=True, slots=True)
class Emitter:
    """Lays models out: `shim_template` is the text of model.py.j2, `runtime` what is copied into each Python model."""

    shim_template: str
    runtime: tuple[File, ...]

    def config(self, model: Model) -> File:
        """config.pbtxt."""
        return File("config.pbtxt", content=pbtxt.emit(model.config).encode())

    def version(self, model: Model) -> tuple[File, ...]:
        """The files of the version folder, sorted by their paths in it."""
        if model.code is not None:
            files = (self._shim(model.code.shim), *self.runtime, *model.code.files)
        else:
            # An ensemble's version folder is empty; the file keeps it there where folders without files are lost (git).
            files = model.files or (File(".gitkeep", content=b""),)
        return tuple(sorted(files, key=lambda file: file.path))

    def _shim(self, shim: Shim) -> File:
        return File("model.py", content=_compiled(self.shim_template).render(shim=shim).encode())


@cache
def _compiled(template: str) -> Template:
    environment = Environment(undefined=StrictUndefined, keep_trailing_newline=True, autoescape=False)
    return environment.from_string(template)
