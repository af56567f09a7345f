"""Finding definitions: from files and folders to imported modules and the definitions in them."""

from __future__ import annotations

import ast
import importlib
import os
import sys
import traceback
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from fnmatch import fnmatch
from functools import cache
from pathlib import Path
from types import ModuleType, TracebackType
from typing import NoReturn

from pydantic import ValidationError

from tritonforge.build.bytecode import kept_of_packages
from tritonforge.build.sources import NOT_OWN, is_installed, project_root
from tritonforge.define import Definition, WeightsModel
from tritonforge.define.faults import Fault, collecting_faults
from tritonforge.define.links import module_place
from tritonforge.define.origin import recorded_assets
from tritonforge.define.redefinitions import in_classes, made_definitions, replaced, unheld
from tritonforge.define.settings.explanations import explain
from tritonforge.errors import Diagnostic, DiagnosticError, Where
from tritonforge.package_names import package_of

__all__ = ["Discovered", "Source", "find_sources", "importing", "missing_module", "own_modules"]

SKIPPED = ("test_*.py", "*_test.py", "conftest.py", "setup.py")
DEFINERS = frozenset({"model", "model_files", "onnx", "torchscript", "torch_module", "sklearn", "pipeline"})
TAKEN = sys.stdlib_module_names | {"jaxtyping", "numpy", "onnx", "onnxruntime", "sklearn", "torch", "tritonforge"}


@dataclass(frozen=True, slots=True)
class Source:
    """A file of definitions: the name it is imported by, and the folder that leads `sys.path` for it."""

    file: Path
    module: str
    root: Path


@dataclass(frozen=True, slots=True)
class Discovered:
    """What importing a source gave: its definitions, the assets that it asked for meanwhile, mistakes in settings.

    `loaded` are the modules that were imported for it, those of installed packages left out, with their files. `unheld`
    are the definitions made meanwhile that no module's variable holds.
    """

    definitions: tuple[Definition[..., object], ...]
    assets: tuple[tuple[str, Path], ...]
    faults: tuple[Diagnostic, ...] = ()
    file: Path = Path()
    loaded: Mapping[str, Path] = field(default_factory=dict)
    unheld: tuple[Definition[..., object], ...] = ()


def find_sources(paths: Sequence[Path]) -> tuple[Source, ...]:
    """Find the files of definitions: files as named; of a package every module; of a folder those that define models.

    Raises:
        DiagnosticError: a path is missing, no file defines anything, or a file's name is taken by a library.
    """
    found: list[Diagnostic] = []
    files: list[Path] = []
    for path in paths:
        if path.is_dir():
            inside = _without_links(
                file for file in path.resolve().rglob("*.py") if _is_candidate(file, path.resolve())
            )
            if not inside:
                reason = "no Python file in it imports model, onnx, pipeline, … from tritonforge"
                found.append(Diagnostic("TF105", Where(str(path)), reason, "name the file of definitions"))
            files += inside
        elif path.is_file() and path.suffix == ".py":
            files.append(path.resolve())
        else:
            reason = "is no Python file (.py)" if path.is_file() else "no such file or folder"
            found.append(Diagnostic("TF301", Where(str(path)), reason, "name a Python file, or a folder of them"))
    sources = tuple(_source(file) for file in dict.fromkeys(files))
    for source in sources:
        if source.module.partition(".")[0] in TAKEN:
            reason = f'a module named "{source.module}" would hide the one of Python or of a library'
            found.append(Diagnostic("TF112", Where(str(source.file)), reason, "rename the file"))
        elif "." in source.file.relative_to(source.root).with_suffix("").as_posix():
            reason = "Python can't import a file or a package with a dot in its name"
            found.append(Diagnostic("TF112", Where(str(source.file)), reason, "rename it"))
    if found:
        raise DiagnosticError(found)
    return sources


@contextmanager
def importing(sources: Sequence[Source]) -> Iterator[list[Discovered]]:
    """Import every source afresh; put `sys.path` and `sys.modules` back as they were at the end.

    What modules do to the working directory ends with their import, and with the block.

    Inside the block the modules stay importable, for what definitions import only when they are used.

    Raises:
        DiagnosticError: a module can't be imported, with the line of the user's that fails; all of them, collected.
    """
    roots = [str(root) for root in dict.fromkeys(source.root for source in sources)]
    path_before, modules_before = list(sys.path), dict(sys.modules)
    sys.path[:0] = roots
    _forget(roots)
    _set_aside(roots)
    importlib.invalidate_caches()
    try:
        found: list[Diagnostic] = []
        discovered = []
        with _same_directory(), kept_of_packages():  # a build leaves nothing in the user's folders
            for source in sources:
                sys.path.insert(0, str(source.root))
                if len(roots) > 1:
                    _make_room(source, roots)
                discovered.append(_import(source, found))
                if len(roots) > 1:
                    _settle(discovered[-1])
            if found:
                raise DiagnosticError([*(fault for source in discovered for fault in source.faults), *found])
            yield discovered
    finally:
        sys.path[:] = path_before
        _forget(roots)
        for name, module in modules_before.items():
            sys.modules.setdefault(name, module)


def _import(source: Source, found: list[Diagnostic]) -> Discovered:
    before = set(sys.modules)
    with recorded_assets() as assets, collecting_faults() as faults, made_definitions() as made, _no_exit():
        try:
            with _same_directory():
                module = importlib.import_module(source.module)
        except DiagnosticError as error:
            found += error.diagnostics
        except (Exception, SystemExit) as error:
            found.append(_cannot_import(source, error))
        else:
            told = (*_told(faults), *replaced(made), *in_classes(made))
            lost, loaded = tuple(unheld(made, _held(made))), own_modules(before)
            return Discovered(tuple(_definitions(module)), tuple(assets), told, source.file, loaded, lost)
    return Discovered((), (), _told(faults))


def own_modules(before: Collection[str]) -> dict[str, Path]:
    """Give the modules that were imported since, but for those of Python and of installed packages: their files."""
    new = {name: _file_of(sys.modules[name]) for name in sys.modules.keys() - before}
    return {
        name: file
        for name, file in sorted(new.items())
        if file is not None and name.partition(".")[0] not in NOT_OWN and not is_installed(file)
    }


def _file_of(module: ModuleType) -> Path | None:
    """Give the file that a module was imported from; None of one that has none, as torch.classes, whose is made up."""
    file = getattr(module, "__file__", None)
    return Path(file) if isinstance(file, str) and os.path.isabs(file) else None


@contextmanager
def _same_directory() -> Iterator[None]:
    """Put the working directory back as it was: the build's relative paths start there."""
    here = Path.cwd()
    try:
        yield
    finally:
        os.chdir(here)


class _Ends(Exception):
    """A module that ends its process while it is imported."""


@contextmanager
def _no_exit() -> Iterator[None]:
    """Raise where a module calls `os._exit`, which would end the build without a word; children that it forks may."""
    real, process = os._exit, os.getpid()

    def refuse(status: int) -> NoReturn:
        if os.getpid() != process:
            real(status)
        raise _Ends(f"os._exit({status}) would end the build")

    os._exit = refuse
    try:
        yield
    finally:
        os._exit = real


def _told(faults: Sequence[Fault]) -> tuple[Diagnostic, ...]:
    return tuple(diagnostic for fault in faults for diagnostic in fault.diagnostics())


def _definitions(module: ModuleType) -> Iterator[Definition[..., object]]:
    """Give the definitions that a module's variables hold, each once, in the order of the variables."""
    seen: set[int] = set()
    for value in list(vars(module).values()):
        if isinstance(value, Definition) and id(value) not in seen:
            seen.add(id(value))
            yield value


def _held(made: Sequence[tuple[Definition[..., object], object]]) -> list[Definition[..., object]]:
    """Give those of the definitions that variables hold, where some aren't held by one of their own module."""
    if all(definition.variable for definition, _ in made):
        return []
    ids = {id(value) for name in own_modules(()) for value in list(vars(sys.modules[name]).values())}
    return [definition for definition, _ in made if id(definition) in ids]


def _cannot_import(source: Source, error: BaseException) -> Diagnostic:
    """Say which line of the user's own failed; the last one below the project's root."""
    if isinstance(error, SyntaxError) and error.filename:
        where = Where(str(Path(error.filename).resolve()), error.lineno or 0)
        return Diagnostic(
            "TF101", where, f"it can't be imported: {type(error).__name__}: {error.msg}", "mend the syntax"
        )
    where, line = _user_line(source, error.__traceback__)
    text = "; ".join(explain(error)) if isinstance(error, ValidationError) else str(error).strip()
    reason = f"{type(error).__name__}: {text}" if text else type(error).__name__
    at = f" (in: {line})" if line else ""
    hint = "run the file with python to see the whole traceback"
    if isinstance(error, _Ends):
        reason, hint = (
            str(error),
            "take the call out: a module that is imported must not end its process",
        )
    elif isinstance(error, ValidationError) or _is_ours(error):
        hint = "mend it and build again: the rest of the file is checked then"
    elif isinstance(error, FileNotFoundError):
        hint = 'name a file that travels with its model by asset("…"), which looks beside the file that names it'
    if isinstance(error, ModuleNotFoundError) and error.name:
        hint = missing_module(error.name.partition(".")[0], source.file, otherwise=", or import it where it is used")
    elif isinstance(error, ImportError) and "no known parent package" in str(error):
        hint = f"make its folder a package: put an empty __init__.py beside {Path(where.file).name}"
    return Diagnostic("TF101", where, f"it can't be imported: {reason}{at}", hint)


def missing_module(name: str, file: Path, *, otherwise: str = "") -> str:
    """Say how a module that `file` imports is found: one of the project's own, in a folder that isn't searched, or any.

    `otherwise` is what else may be done about an installed one.
    """
    project = project_root(file)
    folders = [folder for folder in file.parents if folder.is_relative_to(project)]
    for folder in (*(folder / "src" for folder in folders), *folders):
        if (folder / f"{name}.py").is_file() or any((folder / name).glob("*.py")):
            searched = os.path.relpath(folder)
            install = "install your project (pip install -e .), or set" if folder.name == "src" else "set"
            return f"{name} is yours, in {searched}: {install} PYTHONPATH={searched}"
    if name == "triton_python_backend_utils":
        raised = "a definition takes and gives arrays, and raises TritonError"
        return f"only Triton has it: {raised}; a model.py is served as it is by model_files(…)"
    return f"install {package_of(name)} in this environment{otherwise}"


def _is_ours(error: BaseException) -> bool:
    """Tell what tritonforge refuses, which says all there is to know, from what the user's own code raises."""
    *_, (frame, _) = traceback.walk_tb(error.__traceback__)
    return str(frame.f_globals.get("__name__", "")).startswith("tritonforge.")


def _user_line(source: Source, trace: TracebackType | None) -> tuple[Where, str]:
    frames = [
        frame
        for frame in traceback.extract_tb(trace)
        if Path(frame.filename).is_relative_to(source.root) and "site-packages" not in frame.filename
    ]
    if not frames:
        return Where(str(source.file)), ""
    return Where(frames[-1].filename, frames[-1].lineno or 0), (frames[-1].line or "").strip()


def _local_modules(roots: Sequence[str]) -> Iterator[tuple[str, Path]]:
    """Give the user's own modules below the roots that are imported now: their names and files."""
    below = tuple(root + os.sep for root in roots)
    for name, module in list(sys.modules.items()):
        file = _place(name, str(_file_of(module) or os.sep))
        installed = f"{os.sep}site-packages{os.sep}" in file or name.partition(".")[0] == "tritonforge"
        if not installed and name != "__main__" and file.startswith(below):
            yield name, Path(file)


@cache
def _place(name: str, file: str) -> str:
    return str(module_place(name, Path(file)))


def _forget(roots: Sequence[str]) -> None:
    """Take the modules below the roots out of `sys.modules`, so that they are imported afresh."""
    for name, _ in _local_modules(roots):
        del sys.modules[name]


def _set_aside(roots: Sequence[str]) -> None:
    """Forget modules that this process has of other folders under names that lie in the roots: another `models.py`."""
    for name, module in list(sys.modules.items()):
        top, file = name.partition(".")[0], _file_of(module)
        if file is None or top in ("__main__", "tritonforge") or is_installed(file):
            continue
        if any(own.is_file() for root in roots for own in (Path(root, f"{top}.py"), Path(root, top, "__init__.py"))):
            del sys.modules[name]


def _make_room(source: Source, roots: Sequence[str]) -> None:
    """Forget modules of other folders whose names are those of modules beside this source: two `model.py`, say."""
    for name, file in _local_modules(roots):
        top = source.root / name.partition(".")[0]
        own = next((own for own in (top / "__init__.py", top.with_name(f"{top.name}.py")) if own.is_file()), None)
        if own is not None and not file.is_relative_to(top if own.name == "__init__.py" else own):
            del sys.modules[name]


def _settle(discovered: Discovered) -> None:
    """Let weights be exported now, while what they import inside a function is found beside them."""
    for definition in discovered.definitions:
        if isinstance(definition, WeightsModel):
            with suppress(DiagnosticError):  # it comes again, and is collected, when the definition is lowered
                _ = definition.signature, definition.files


def _source(file: Path) -> Source:
    """Find the name that a file is imported by: dotted below the outermost package around it."""
    root = file.parent
    parts = [] if file.name == "__init__.py" else [file.stem]
    while (root / "__init__.py").is_file():
        parts.insert(0, root.name)
        root = root.parent
    return Source(file, ".".join(parts), root)


def _is_candidate(file: Path, folder: Path) -> bool:
    """Say whether a file of a folder is to be imported: it defines models, and isn't a test, hidden, or a dead link."""
    inner = file.relative_to(folder)
    if any(part.startswith(".") or part in ("__pycache__", "node_modules", "site-packages") for part in inner.parts):
        return False
    skipped = any(fnmatch(file.name, pattern) for pattern in SKIPPED)
    if skipped or any((above / "tritonforge.json").is_file() for above in file.parents):
        return False
    try:
        content = file.read_bytes() if file.is_file() else b""
    except FileNotFoundError:  # by now
        return False
    try:
        tree = ast.parse(content)
    except (SyntaxError, ValueError):
        return b"tritonforge" in content
    return any(_defines(node) for node in ast.walk(tree))


def _without_links(files: Iterable[Path]) -> list[Path]:
    """Leave out links to files that are there themselves: their models would be there twice."""
    found = sorted(files)
    return [file for file in found if not file.is_symlink() or file.resolve() not in found]


def _defines(node: ast.AST) -> bool:
    if isinstance(node, ast.ImportFrom):
        return node.module == "tritonforge" and any(alias.name in DEFINERS | {"*"} for alias in node.names)
    return isinstance(node, ast.Import) and any(alias.name == "tritonforge" for alias in node.names)
