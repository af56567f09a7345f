"""What a Python file imports, read from its text: nothing is run."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib.util import resolve_name
from pathlib import Path

__all__ = ["Importer", "exported", "imported", "imported_at_start", "imports_by_name", "tree"]

_BY_NAME = frozenset({"import_module", "__import__"})
_BY_PATH = frozenset({"exec_module", "load_module", "run_path", "run_module"})
_LISTING = frozenset({"iter_modules", "walk_packages"})


@dataclass(frozen=True, slots=True)
class Importer:
    """A file that imports others: its name, and the package that its relative imports start from."""

    file: Path
    module: str
    package: str


def imported(importer: Importer) -> Iterator[str]:
    """Give the names of all modules that a file imports anywhere; `from a import b` may mean the module a.b.

    `a.*` is what `from a import *` imports of it, and `a.**` any module below a: one of a name that only a run knows.
    """
    for node in ast.walk(tree(importer.file)):
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield from _by_statement(node, importer)
        elif isinstance(node, ast.Call):
            yield from _by_name(node, importer)


def imported_at_start(importer: Importer) -> Iterator[tuple[str, int]]:
    """Give what a file imports whenever it is imported itself, with the lines: by statements under no condition.

    So none in a function, nor below an `if` (of `__name__`, of TYPE_CHECKING), nor in a `try` that may catch a failure.
    """
    waiting: list[ast.stmt] = list(tree(importer.file).body)
    while waiting:
        node = waiting.pop(0)
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield from ((name, node.lineno) for name in _by_statement(node, importer))
        elif isinstance(node, ast.ClassDef | ast.With):
            waiting += node.body
        elif isinstance(node, ast.Try):
            waiting += [*([] if node.handlers else node.body), *node.finalbody]


def imports_by_name(importer: Importer) -> bool:
    """Say whether a file imports what its text doesn't name in full."""
    calls = [node for node in ast.walk(tree(importer.file)) if isinstance(node, ast.Call)]
    named = (_text(_argument(call, 0, "name"), importer) for call in calls if _called(call) in _BY_NAME)
    return any(_called(call) in _BY_PATH for call in calls) or not all(whole for _, whole in named)


def exported(file: Path) -> Iterator[str]:
    """Give the names that a module's `__all__` lists."""
    for node in tree(file).body:
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        if any(isinstance(target, ast.Name) and target.id == "__all__" for target in targets):
            constants = (inner.value for inner in ast.walk(node) if isinstance(inner, ast.Constant))
            yield from (name for name in constants if isinstance(name, str))


def tree(file: Path) -> ast.Module:
    """Parse a file; what is no Python imports nothing."""
    return _parse(file, file.stat().st_mtime_ns)


@cache
def _parse(file: Path, modified_ns: int) -> ast.Module:
    try:
        return ast.parse(file.read_bytes() if file.suffix == ".py" else b"", filename=str(file))
    except (SyntaxError, ValueError):  # of what isn't imported here; what is has been told
        return ast.Module([], [])


def _by_statement(node: ast.Import | ast.ImportFrom, importer: Importer) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
        return
    base = node.module or ""
    if node.level:
        parts = importer.package.split(".")
        base = ".".join([*parts[: len(parts) - node.level + 1], *([base] if base else [])])
    yield base
    yield from (f"{base}.{alias.name}" for alias in node.names if base)


def _by_name(call: ast.Call, importer: Importer) -> Iterator[str]:
    """Give what a call of `import_module` imports, or a listing of a package's modules comes to import."""
    if _called(call) in _LISTING:
        text, whole = _text(_argument(call, 1, "prefix"), importer)[0], False
    elif _called(call) in _BY_NAME:
        text, whole = _text(_argument(call, 0, "name"), importer)
    else:
        return
    if text.startswith("."):
        package = _argument(call, 1, "package")
        start, known = _text(package, importer)
        beyond = "x" if text.endswith(".") else ""
        try:
            name = resolve_name(text + beyond, start if known and start else importer.package)
        except ImportError:
            return
        text = name.removesuffix(beyond)
    above = text.rpartition(".")[0]
    if whole or above:
        yield text if whole else f"{above}.**"


def _called(call: ast.Call) -> str:
    function = call.func
    return function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")


def _argument(call: ast.Call, place: int, name: str) -> ast.expr | None:
    named = (keyword.value for keyword in call.keywords if keyword.arg == name)
    return call.args[place] if len(call.args) > place else next(named, None)


def _text(node: ast.expr | None, importer: Importer) -> tuple[str, bool]:
    """Give how a text begins, as far as it is written out, and whether that is all of it."""
    found = ("", False)
    match node:
        case ast.Constant(value=str() as text):
            found = text, True
        case ast.Name(id="__name__"):
            found = importer.module, True
        case ast.Name(id="__package__"):
            found = importer.package, True
        case ast.Attribute(attr="__name__", value=ast.Name(id=module)):
            found = module, True
        case ast.FormattedValue(value=value, format_spec=None):
            found = _text(value, importer)
        case ast.JoinedStr(values=values):
            found = _joined(values, importer)
        case ast.BinOp(op=ast.Add(), left=left, right=right):
            found = _joined([left, right], importer)
        case ast.BinOp(op=ast.Mod(), left=ast.Constant(value=str() as text)):
            found = text.partition("%")[0], False
        case ast.Call(func=ast.Attribute(attr="format", value=ast.Constant(value=str() as text))):
            found = text.partition("{")[0], False
    return found


def _joined(parts: list[ast.expr], importer: Importer) -> tuple[str, bool]:
    found = ""
    for part in parts:
        text, whole = _text(part, importer)
        found += text
        if not whole:
            return found, False
    return found, True
