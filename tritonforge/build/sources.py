"""The files that a Python model's module needs: local modules that it imports, and assets that they name."""

from __future__ import annotations

import ast
import importlib.util
import os
import sys
import sysconfig
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path, PurePosixPath

from tritonforge.errors import Diagnostic, DiagnosticError, Where
from tritonforge.ir import Code, File, Shim

__all__ = ["SOURCE", "Sources", "collect", "is_installed", "project_root"]

SOURCE = "source"
"""The folder of a version folder that holds the user's files."""

IGNORED = {"__pycache__"}


@dataclass(frozen=True, slots=True)
class Sources:
    """What travels with a module: all its files, and the folders that they are imported from, its own first."""

    module: str
    roots: tuple[Path, ...]
    files: tuple[Path, ...]

    def code(self, origin: str) -> Code:
        """Lay the files out below the version folder, as they lie to each other in the project."""
        base = Path(os.path.commonpath([*map(str, self.roots), *(str(file.parent) for file in self.files)]))
        relative = {file: file.relative_to(base).as_posix() for file in self.files}
        paths = tuple((PurePosixPath(SOURCE) / root.relative_to(base)).as_posix() for root in self.roots)
        shim = Shim(self.module, "", paths, origin=origin)
        files = tuple(File(f"{SOURCE}/{path}", source=file) for file, path in sorted(relative.items()))
        return Code(shim, files, tuple((f"{SOURCE}/{path}", str(file)) for file, path in sorted(relative.items())))


def collect(module: str, file: Path, recorded: Iterable[tuple[str, Path]] = ()) -> Sources:
    """Follow a module's imports, and those of what it imports, as far as they are the user's own.

    Args:
        module: the name by which the module is imported.
        file: where it is.
        recorded: what `asset` gave while modules were imported, each with the file that asked.

    Raises:
        DiagnosticError: an asset is missing, or lies outside the project; a module has the name of one of Python's.
    """
    root = _root(module, file)
    found: list[Diagnostic] = []
    modules = _closure(module, root, found)
    assets = {(asking, path) for asking, path in recorded if Path(asking) in modules}
    for asking in modules:
        assets |= {(str(asking), path) for path in _assets(asking, found)}
    project = project_root(file)
    for asking_file, path in sorted(assets):
        if not path.is_relative_to(project):
            found.append(
                Diagnostic(
                    "TF305",
                    Where(asking_file),
                    f'the asset "{path}" lies outside the project ({project})',
                    "copy it into the project; the project is the nearest folder above with a pyproject.toml or .git",
                )
            )
    if found:
        raise DiagnosticError(found)
    files = {*modules, *(inner for _, path in assets for inner in _expand(path))}
    others = sorted(set(modules.values()) - {root})
    return Sources(module, (root, *others), tuple(sorted(files)))


def project_root(file: Path) -> Path:
    """Find the project that a file belongs to: the nearest folder with a pyproject.toml or a .git, else its own."""
    marked = (folder for folder in file.parents if any((folder / mark).exists() for mark in ("pyproject.toml", ".git")))
    return next(marked, file.parent)


def _root(module: str, file: Path) -> Path:
    """Find the folder that a module of that name and file is imported from."""
    return file.parents[len(module.split(".")) - (0 if file.name == "__init__.py" else 1)]


def _closure(module: str, root: Path, found: list[Diagnostic]) -> dict[Path, Path]:
    """Find the files of a module, of the packages around it, and of all local modules that they import.

    Gives the folder that each is imported from.
    """
    waiting = [module]
    seen: set[str] = set()
    files: dict[Path, Path] = {}
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        spec = _local_spec(name, root)
        if spec is None or spec.origin is None:
            found += _hidden(name, root)
            continue
        file = Path(spec.origin).resolve()
        files[file] = _root(name, file)
        parts = name.split(".")
        waiting += [".".join(parts[:length]) for length in range(1, len(parts))]
        package = name if spec.submodule_search_locations is not None else name.rpartition(".")[0]
        waiting += _imports(file, package)
    return files


def _hidden(name: str, root: Path) -> list[Diagnostic]:
    """Refuse a module beside the user's that has the name of one of Python's: the server would take Python's."""
    own = root / f"{name}.py"
    if name not in sys.stdlib_module_names or not own.is_file():
        return []
    reason = f'a module named "{name}" would hide the one of Python or of a library'
    return [Diagnostic("TF112", Where(str(own)), reason, "rename the file")]


@cache
def _parse(file: Path, modified_ns: int) -> ast.Module:
    return ast.parse(file.read_bytes(), filename=str(file))


def _tree(file: Path) -> ast.Module:
    return _parse(file, file.stat().st_mtime_ns)


def _imports(file: Path, package: str) -> Iterator[str]:
    """Give the names of all modules that a file imports anywhere; `from a import b` may mean the module a.b."""
    for node in ast.walk(_tree(file)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parts = package.split(".")
                base = ".".join([*parts[: len(parts) - node.level + 1], *([base] if base else [])])
            yield base
            yield from (f"{base}.{alias.name}" for alias in node.names if base)


def _assets(file: Path, found: list[Diagnostic]) -> Iterator[Path]:
    """Give the files of the `asset("…")` calls in a file whose name is written out."""
    nodes = list(ast.walk(_tree(file)))
    spellings = {spelling for node in nodes for spelling in _spellings(node)}
    for node in nodes:
        if not (isinstance(node, ast.Call) and ast.unparse(node.func) in spellings):
            continue
        argument = next((given for given in (*node.args, *(keyword.value for keyword in node.keywords))), None)
        if not (isinstance(argument, ast.Constant) and isinstance(argument.value, str)):
            continue
        path = (file.parent / argument.value).resolve()
        if path.exists():
            yield path
        else:
            found.append(
                Diagnostic(
                    "TF301",
                    Where(str(file), node.lineno),
                    f'"{argument.value}" is missing beside {file.name}',
                    "paths are relative to the file that names them; check the name, or make the file first",
                )
            )


def _spellings(node: ast.AST) -> Iterator[str]:
    """Give the names under which an import statement brings tritonforge's `asset` in."""
    if isinstance(node, ast.ImportFrom) and node.module == "tritonforge":
        yield from (alias.asname or "asset" for alias in node.names if alias.name in ("asset", "*"))
    elif isinstance(node, ast.Import):
        yield from (f"{alias.asname or alias.name}.asset" for alias in node.names if alias.name == "tritonforge")


def _expand(path: Path) -> Iterator[Path]:
    """Give a file, or all files of a folder."""
    if path.is_file():
        yield path
        return
    for folder, folders, names in os.walk(path):
        folders[:] = sorted(name for name in folders if name not in IGNORED)
        yield from (Path(folder, name) for name in sorted(names))


def _local_spec(name: str, root: Path) -> ModuleSpec | None:
    """Find a module that is the user's own: no part of Python, nor of an installed package. Nothing is imported."""
    parts = name.split(".")
    if not parts[0] or parts[0] in sys.stdlib_module_names or parts[0] == "tritonforge":
        return None
    search: Sequence[str] | None = [str(root), *sys.path]
    spec = None
    for length in range(1, len(parts) + 1):
        if search is None:
            return None
        spec = PathFinder.find_spec(".".join(parts[:length]), list(search))
        if spec is None and length == 1:
            spec = importlib.util.find_spec(parts[0]) if parts[0] not in sys.modules else None  # editable installs
        if spec is None:
            return None
        search = spec.submodule_search_locations
    if spec is None or spec.origin is None or not spec.origin.endswith(".py"):
        return None
    return None if is_installed(Path(spec.origin).resolve()) else spec


def is_installed(file: Path) -> bool:
    """Say whether a file is of Python itself or of an installed package."""
    return any(file.is_relative_to(folder) for folder in _installed_folders())


@cache
def _installed_folders() -> Sequence[Path]:
    names = ("stdlib", "platstdlib", "purelib", "platlib")
    folders = {Path(path).resolve() for path in map(sysconfig.get_path, names) if path}
    packages = {Path(path).resolve() for path in sys.path if path.endswith(("site-packages", "dist-packages"))}
    return tuple(folders | packages)
