"""What a model changes in this process while it runs: put in place for each of its calls, and taken back after."""

from __future__ import annotations

import os
import sys
import sysconfig
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

from tritonforge.testing import backend_utils

__all__ = ["Isolation"]

_STAND_INS = ("tritonforge", "jaxtyping")
"""What isn't there inside Triton, or may be something else: each model has its own."""


_INSTALLED = tuple(
    os.path.join(os.path.realpath(sysconfig.get_path(name)), "") for name in ("stdlib", "purelib", "platlib")
)
"""Where the standard library and packages are; below them no module is the user's."""


def _calling(models: Mapping[str, Callable[..., Any]], arguments: Mapping[str, str]) -> ModuleType:
    """Give the stand-in for Triton's module to a model that can call these, with what takes request parameters."""
    if not models:
        return backend_utils
    made = ModuleType(backend_utils.__name__, backend_utils.__doc__)
    vars(made).update({name: value for name, value in vars(backend_utils).items() if not name.startswith("__")})
    own = {"models": models, "arguments": arguments}
    vars(made)["InferenceRequest"] = type("InferenceRequest", (backend_utils.InferenceRequest,), own)
    return made


class Isolation:
    """The modules and search paths of one model, of files below `folder`, and the `models` that it can call.

    `arguments` are to have, by name, what those of them take the request's parameters as that do.
    """

    def __init__(self, folder: Path, models: Mapping[str, Callable[..., Any]]) -> None:
        self._folder = os.path.join(os.path.realpath(folder), "")
        self.arguments: dict[str, str] = {}
        self._modules: dict[str, ModuleType] = {"triton_python_backend_utils": _calling(models, self.arguments)}
        self._path: list[str] | None = None
        self._finders = list(sys.meta_path)
        self._own_names = {path.stem for path in folder.rglob("*.py")} | {
            path.parent.name for path in folder.rglob("*.py")
        }

    @contextmanager
    def entered(self) -> Iterator[None]:
        """Be the process that Triton starts for the model."""
        modules, path, finders = dict(sys.modules), list(sys.path), list(sys.meta_path)
        for name in [name for name, module in modules.items() if self._is_hidden(name, module)]:
            del sys.modules[name]
        sys.modules.update(self._modules)
        sys.path[:] = self._path or path
        sys.meta_path[:] = self._finders
        try:
            yield
        finally:
            self._path, self._finders = list(sys.path), list(sys.meta_path)
            sys.path[:], sys.meta_path[:] = path, finders
            for name in [name for name, module in sys.modules.items() if module is not modules.get(name)]:
                self._take_back(name)
            sys.modules.update(modules)

    def _is_hidden(self, name: str, module: ModuleType) -> bool:
        """Say whether the model's process has no such module, or one of its own: a test imports what it has built."""
        top = name.partition(".")[0]
        if top not in self._own_names or top in self._modules:
            return top == "tritonforge"
        file = getattr(module, "__file__", None)
        return file is not None and not os.path.realpath(file).startswith(_INSTALLED)

    def _take_back(self, name: str) -> None:
        """Keep a module of the model's own for its next call. Libraries stay for all: many can be loaded only once."""
        module = sys.modules[name]
        own = os.path.realpath(getattr(module, "__file__", None) or "").startswith(self._folder)
        if own or name in self._modules or (name.partition(".")[0] in _STAND_INS):
            self._modules[name] = module
            del sys.modules[name]
