"""Where a model that a build wrote is defined, in the user's own files."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from tritonforge.errors import Where
from tritonforge.server.diagnosis.sources import Sources

__all__ = ["definition_of"]


def definition_of(model: str, sources: Sources) -> Where:
    """Give the line of a model's definition; the model's folder where it has none that is known.

    The generated model.py says which name of which module it serves.
    """
    folder = sources.folder(model)
    with suppress(OSError, SyntaxError, ValueError, LookupError, TypeError, AttributeError):
        shim = max(folder.glob("*/model.py"), key=lambda file: int(file.parent.name))
        names = _constants(shim)
        for file in _files(shim.parent, names):
            original = sources.original(str(file), model) if file.is_file() else ""
            if original:
                return Where(original, _line(file, names["attribute"]), model)
    return Where(str(folder), 0, model)


def _constants(shim: Path) -> dict[str, Any]:
    """Read what the class of a generated model.py says of itself."""
    classes = [node for node in ast.parse(shim.read_bytes()).body if isinstance(node, ast.ClassDef)]
    pairs = [(node.targets[0], node.value) for each in classes for node in each.body if isinstance(node, ast.Assign)]
    return {
        target.id: ast.literal_eval(value)
        for target, value in pairs
        if isinstance(target, ast.Name) and target.id in ("module", "attribute", "paths")
    }


def _files(version: Path, names: dict[str, Any]) -> Iterator[Path]:
    """Give the files that the module may be."""
    for path in names["paths"]:
        file = version / path / names["module"].replace(".", "/")
        yield from (file.with_name(f"{file.name}.py"), file / "__init__.py")


def _line(file: Path, name: str) -> int:
    """Find the line at which a module binds a name; 0 where none does plainly."""
    for node in ast.walk(ast.parse(file.read_bytes())):
        if isinstance(node, (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)) and node.name == name:
            return node.lineno
        if isinstance(node, ast.Assign) and any(_is(name, target) for target in node.targets):
            return node.lineno
    return 0


def _is(name: str, target: ast.expr) -> bool:
    return isinstance(target, ast.Name) and target.id == name
