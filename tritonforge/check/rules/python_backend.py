"""Parameters that the Python backend reads, and the class that it looks for."""

from __future__ import annotations

import ast
import platform
import warnings
from collections.abc import Iterator

from tritonforge.check.complete import default_filename, served_versions
from tritonforge.check.finding import Found, error, warning
from tritonforge.check.model import Model
from tritonforge.repository_files import read_bytes, stub_safe

__all__ = ["check_python_code", "check_python_folder", "check_python_parameters"]

_ENVIRONMENT = "EXECUTION_ENV_PATH"
_FORCE_CPU = "FORCE_CPU_ONLY_INPUT_TENSORS"
_HERE = "$$TRITON_MODEL_DIRECTORY/"
_CLASS = "TritonPythonModel"
_DYNAMIC = {"__getattr__", "exec", "globals", "import_module", "locals", "modules", "setattr", "vars"}
"""Names in code that may define any other."""


def check_python_folder(model: Model) -> Iterator[Found]:
    """Check that a model starts from a folder of this name."""
    if model.config.backend == "python" and not stub_safe(model.name):
        message = f'the Python backend can\'t start a model from a folder named "{model.name}"'
        yield error("TF688", "", message, "ASCII letters, digits and @%+=:,._- are fine", file=model.name)


def check_python_parameters(model: Model) -> Iterator[Found]:
    """Check the parameters of a Python model."""
    if model.config.backend != "python":
        return
    parameters = {name: parameter.string_value for name, parameter in model.config.parameters.items()}
    force = parameters.get(_FORCE_CPU, "yes")
    if force not in ("yes", "no"):
        message = f'{_FORCE_CPU} is yes or no; found "{force}"'
        yield error("TF684", f'parameters["{_FORCE_CPU}"]', message, 'string_value: "no" leaves tensors on the GPU')
    path = parameters.get(_ENVIRONMENT, "")
    field, hint = f'parameters["{_ENVIRONMENT}"]', "an archive of conda-pack, or a folder"
    if path.startswith(_HERE):
        environment = model.folder.path / path.removeprefix(_HERE)
        if not environment.exists():
            yield error("TF684", field, f"the environment {path} is not there", hint)
        elif environment.is_dir() and not (environment / "bin" / "activate").is_file():
            yield error(
                "TF684", field, f"the environment {path} has no bin/activate", "a folder of conda-pack's has one"
            )
    elif path.startswith("/") and not model.folder.path.joinpath(path).exists():
        yield warning("TF684", field, f"the environment {path} is not on this machine", hint)


def check_python_code(model: Model) -> Iterator[Found]:
    """Check that each version's code is a file, can be read, and defines the class that is the model to the backend."""
    if model.config.backend != "python" or model.config.runtime:
        return
    filename = default_filename(model.config)
    for version in served_versions(model.config, model.folder.versions):
        path, place = model.folder.path / str(version) / filename, f"{model.name}/{version}/{filename}"
        if path.is_dir():
            message = f"{filename} is a folder, and the Python backend loads a file"
            yield error("TF681", "", message, f"put the model's code into a file {filename}", file=place)
        elif path.suffix == ".py" and path.is_file():
            yield from _check_code(read_bytes(path), place, tensors=bool(model.config.input or model.config.output))


def _check_code(code: bytes, place: str, *, tensors: bool) -> Iterator[Found]:
    """Check code of which this Python may not know all syntax, and that may define the class in another way.

    `tensors` says whether the configuration has any, or the code is to name them.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(code)
    except (SyntaxError, ValueError) as refused:
        line = (isinstance(refused, SyntaxError) and refused.lineno) or 0
        message = f"Python {platform.python_version()} can't read it: {getattr(refused, 'msg', refused)}"
        hint = "mend it, unless it is written for the newer Python of the server"
        yield warning("TF681", "", message, hint, file=place, line=line)
        return
    if not any(_may_define(node) for node in ast.walk(tree)):
        message = f"it defines no class named {_CLASS}, which the Python backend makes the model of"
        classes = [node for node in tree.body if isinstance(node, ast.ClassDef)]
        line = next((node.lineno for node in classes if _has(node, "execute")), 0)
        yield error("TF681", "", message, f"name the model's class {_CLASS}", file=place, line=line)
        return
    if found := _class_without(tree, "execute"):
        message = f"{_CLASS} has no execute, without which every request fails"
        hint = "def execute(self, requests): …, which gives a response for each"
        yield warning("TF681", "", message, hint, file=place, line=found.lineno)
    if not tensors and (found := _class_without(tree, "auto_complete_config")):
        message = "neither config.pbtxt nor the code says which tensors the model has: Triton refuses each that is sent"
        hint = "list input and output in config.pbtxt, or define auto_complete_config"
        yield warning("TF681", "", message, hint, file=place, line=found.lineno)


def _may_define(node: ast.AST) -> bool:
    if isinstance(node, ast.alias):
        return (node.asname or node.name) in (_CLASS, "*")
    return any(name == _CLASS or name in _DYNAMIC for name in _names(node))


def _names(node: ast.AST) -> Iterator[str]:
    names = (getattr(node, field, None) for field in ("id", "name", "attr"))
    return (name for name in names if isinstance(name, str))


def _class_without(tree: ast.Module, method: str) -> ast.ClassDef | None:
    """Find the model's class where all that it has is there to read, and no method of some name is among it."""
    classes = [node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == _CLASS]
    if len(classes) != 1 or classes[0].bases or classes[0].keywords or classes[0].decorator_list:
        return None
    named = {name for node in ast.walk(tree) for name in _names(node)}
    return None if _has(classes[0], method) or named & {method, *_DYNAMIC} else classes[0]


def _has(node: ast.ClassDef, method: str) -> bool:
    return any(method in _names(part) for part in node.body)
