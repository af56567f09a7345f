"""The files that a Python model's module needs: local modules that it imports, and assets that they name."""

from __future__ import annotations

import ast
import importlib.util
import os
import pkgutil
import sys
import sysconfig
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.machinery import EXTENSION_SUFFIXES, ModuleSpec, PathFinder
from pathlib import Path, PurePosixPath

from tritonforge.build.alone import loaded_alone
from tritonforge.build.imports import Importer, exported, imported, imports_by_name, tree
from tritonforge.build.pickles import pickled_modules
from tritonforge.build.stand_in import find_lacking
from tritonforge.define.links import files_below, module_place, named_path
from tritonforge.errors import Diagnostic, DiagnosticError, Where
from tritonforge.ir import Code, File, Shim

__all__ = ["NOT_OWN", "SOURCE", "Sources", "collect", "is_installed", "project_root"]

SOURCE = "source"
"""The folder of a version folder that holds the user's files."""


NOT_OWN = frozenset({"", "__main__", "__mp_main__", "tritonforge"})
"""Modules that are never the user's own, wherever they lie: of the program itself, in what it forks, too."""


@dataclass(frozen=True, slots=True)
class Sources:
    """What travels with a module: all its files, and the folders that they are imported from, its own first.

    `files` are by the paths that the copies find each other by. Such a path may be a link; an asset's may be another
    than its own, where the module that names it is a link.
    """

    module: str
    roots: tuple[Path, ...]
    files: Mapping[Path, Path]

    def code(self, origin: str) -> Code:
        """Lay the files out below the version folder, as they lie to each other in the project."""
        base = Path(os.path.commonpath([*map(str, self.roots), *(str(file.parent) for file in self.files)]))
        placed = [
            (f"{SOURCE}/{place.relative_to(base).as_posix()}", file) for place, file in sorted(self.files.items())
        ]
        paths = tuple((PurePosixPath(SOURCE) / root.relative_to(base)).as_posix() for root in self.roots)
        shim = Shim(self.module, "", paths, origin=origin)
        files = tuple(File(path, source=file) for path, file in placed)
        return Code(shim, files, tuple((path, str(file)) for path, file in placed))


def collect(
    module: str, file: Path, recorded: Iterable[tuple[str, Path]] = (), loaded: Mapping[str, Path] | None = None
) -> Sources:
    """Follow a module's imports, and those of what it imports, as far as they are the user's own.

    Imports by a name that only a run knows are found by one: the module is imported in a process of its own. So is the
    module of a class in a pickle among the assets.

    Args:
        module: the name by which the module is imported.
        file: where it is.
        recorded: what `asset` gave while modules were imported, each with the file that asked.
        loaded: the modules that this process has imported for it, with their files.

    Raises:
        DiagnosticError: an asset is missing, or lies outside the project, or in the way of another; a module has the
            name of one of Python's, or imports what isn't there inside Triton.
    """
    root = _root(module, file)
    recorded = tuple(recorded)
    wanted = [module]
    closure = _closure(wanted, root)
    beside: set[Path] = set()
    if _leaves_out(closure, loaded or {}):
        run = loaded_alone(module, root)
        names, beside = _own((loaded or {}) if run is None else run, root, project_root(file))
        wanted += names
    while True:
        closure = _closure(wanted, root)
        found = [*closure.hidden, *find_lacking(module, closure.modules.values())]
        files = {path: path for path in (*closure.modules, *beside)}
        for asking in closure.modules:
            named = (path for by, path in recorded if Path(by) == asking.resolve())
            for path in sorted({*named, *_assets(asking, found)}):
                found += _place_asset(path, asking, files, project_root(file))
        assets = files.keys() - closure.modules.keys() - beside
        pickled = {name for path in assets for name in pickled_modules(files[path])}
        more = sorted(name for name in pickled.difference(wanted) if _local_spec(name, root) is not None)
        if not more:
            break
        wanted += more
    if found:
        raise DiagnosticError(list(dict.fromkeys(found)))
    others = sorted({place.root for place in closure.modules.values()} - {root})
    return Sources(module, (root, *others), files)


def _leaves_out(closure: _Closure, loaded: Mapping[str, Path]) -> bool:
    """Say whether the texts leave names out, or more was imported than they name."""
    known = {path.resolve() for path in closure.modules}
    beyond = any(path.resolve() not in known for path in loaded.values())
    return beyond or any(map(imports_by_name, closure.modules.values()))


def _own(run: Mapping[str, Path], root: Path, project: Path) -> tuple[list[str], set[Path]]:
    """Pick the user's own of the modules that a run has: by their names, or by their files where no name finds them."""
    names: list[str] = []
    beside: set[Path] = set()
    for name, path in sorted(run.items()):
        if name.partition(".")[0] in NOT_OWN or is_installed(path):
            continue
        spec = None if name == str(path) else _local_spec(name, root)
        if spec is not None and spec.origin is not None and Path(spec.origin).resolve() == path.resolve():
            names.append(name)
        elif spec is None and path.suffix == ".py" and path.is_relative_to(project):
            beside.add(path)
    return names, beside


def _place_asset(path: Path, asking: Path, files: dict[Path, Path], project: Path) -> Iterator[Diagnostic]:
    """Add an asset's files where the copies look for them: beside the asking file's own name, if that is a link."""
    beside = asking.resolve().parent
    place = path if beside == asking.parent else Path(os.path.abspath(asking.parent / os.path.relpath(path, beside)))
    if not place.is_relative_to(project):
        yield Diagnostic(
            "TF305",
            Where(str(asking)),
            f'the asset "{path}" lies outside the project ({project})',
            "copy it into the project; the project is the nearest folder above with a pyproject.toml or .git",
        )
        return
    for inner in files_below(path):
        there = files.setdefault(place / inner.relative_to(path), inner)
        if not there.samefile(inner):
            reason = f'the assets "{inner}" and "{there}" would travel to one place, as {asking.name} is a link'
            yield Diagnostic(
                "TF305", Where(str(asking)), reason, "rename one of the two, or replace the link by a copy"
            )


def project_root(file: Path) -> Path:
    """Find the project that a file belongs to: the nearest folder with a pyproject.toml or a .git, else its own."""
    marked = (folder for folder in file.parents if any((folder / mark).exists() for mark in ("pyproject.toml", ".git")))
    return next(marked, file.parent)


def _root(module: str, file: Path) -> Path:
    """Find the folder that a module of that name and file is imported from."""
    return file.parents[len(module.split(".")) - (0 if file.name == "__init__.py" else 1)]


@dataclass(frozen=True, slots=True)
class _Place(Importer):
    """A module that travels, and the folder that it is imported from."""

    root: Path


@dataclass(frozen=True, slots=True)
class _Closure:
    """Modules that travel, by their files, and those that can't, for Python has one of that name."""

    modules: Mapping[Path, _Place]
    hidden: tuple[Diagnostic, ...]


def _closure(names: Iterable[str], root: Path) -> _Closure:
    """Find the files of modules, of the packages around them, and of all local modules that they import."""
    waiting = list(names)
    seen: set[str] = set()
    found: list[Diagnostic] = []
    modules: dict[Path, _Place] = {}
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        if name.endswith("*"):
            waiting += _starred(name, root)
            continue
        spec = _local_spec(name, root)
        if spec is None or spec.origin is None:
            found += _hidden(name, root)
            continue
        file = _place(name, Path(spec.origin))
        parts = name.split(".")
        waiting += [".".join(parts[:length]) for length in range(1, len(parts))]
        package = name if spec.submodule_search_locations is not None else name.rpartition(".")[0]
        modules[file] = _Place(file, name, package, _root(name, file))
        waiting += imported(modules[file])
    return _Closure(modules, tuple(found))


def _starred(name: str, root: Path) -> Iterator[str]:
    """Give the modules that `a.*`, what `from a import *` imports, or `a.**`, all that is below a, stands for."""
    package, _, star = name.rpartition(".")
    spec = _spec(package, root)
    if spec is None:
        return
    folders = [folder for folder in spec.submodule_search_locations or () if not is_installed(Path(folder))]
    if star == "*" and folders and spec.origin is not None:
        yield from (f"{package}.{one}" for one in exported(Path(spec.origin)))
    elif star == "**":
        for one in pkgutil.iter_modules(folders, f"{package}."):
            yield from (one.name, f"{one.name}.**") if one.ispkg else (one.name,)


def _hidden(name: str, root: Path) -> list[Diagnostic]:
    """Refuse a module beside the user's that has the name of one of Python's: the server would take Python's."""
    own = root / f"{name}.py"
    if name not in sys.stdlib_module_names or not own.is_file():
        return []
    reason = f'a module named "{name}" would hide the one of Python or of a library'
    return [Diagnostic("TF112", Where(str(own)), reason, "rename the file")]


def _assets(file: Path, found: list[Diagnostic]) -> Iterator[Path]:
    """Give the files of the `asset("…")` calls in a file whose name is written out."""
    nodes = list(ast.walk(tree(file)))
    spellings = {spelling for node in nodes for spelling in _spellings(node)}
    for node in nodes:
        if not (isinstance(node, ast.Call) and ast.unparse(node.func) in spellings):
            continue
        argument = next((given for given in (*node.args, *(keyword.value for keyword in node.keywords))), None)
        if not (isinstance(argument, ast.Constant) and isinstance(argument.value, str)):
            continue
        path = named_path(file.resolve().parent / argument.value)
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


def _local_spec(name: str, root: Path) -> ModuleSpec | None:
    """Find a module that is the user's own: no part of Python, nor of an installed package. Nothing is imported."""
    spec = _spec(name, root)
    if spec is None or spec.origin is None or not spec.origin.endswith((".py", *EXTENSION_SUFFIXES)):
        return None
    return None if is_installed(_place(name, Path(spec.origin))) else spec


def _spec(name: str, root: Path) -> ModuleSpec | None:
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
    return spec


def _place(name: str, origin: Path) -> Path:
    """Give where a module is imported from, under its name there; the source of a package installed as a link."""
    place = module_place(name, origin)
    return origin.resolve() if is_installed(place) else place


def is_installed(file: Path) -> bool:
    """Say whether a file is of Python itself or of an installed package."""
    return any(file.is_relative_to(folder) for folder in _installed_folders())


@cache
def _installed_folders() -> Sequence[Path]:
    names = ("stdlib", "platstdlib", "purelib", "platlib")
    folders = {Path(path).resolve() for path in map(sysconfig.get_path, names) if path}
    packages = {Path(path).resolve() for path in sys.path if path.endswith(("site-packages", "dist-packages"))}
    return tuple(folders | packages)
