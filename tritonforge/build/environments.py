"""What definitions say of Python packages → models with environments of their own, or needs of the server's."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from importlib import metadata
from pathlib import Path
from typing import Any

from tritonforge.build.environment_cache import UnbuildableEnvironment, environment_folder, python_version
from tritonforge.define import Definition, Pipeline
from tritonforge.errors import Diagnostic, DiagnosticError
from tritonforge.ir import File, Model, Repository
from tritonforge.lower import Gathered

__all__ = ["FOLDER", "OtherPackage", "add_environments", "other_packages"]

FOLDER = "environment"
"""The folder beside config.pbtxt that holds a model's environment."""

PARAMETER = {"EXECUTION_ENV_PATH": f"$$TRITON_MODEL_DIRECTORY/{FOLDER}"}

_ACTIVATE = f"{FOLDER}/bin/activate"


@dataclass(frozen=True, slots=True)
class OtherPackage:
    """A package of an environment that this Python has in another version; `here` is empty where it has none."""

    name: str
    version: str
    here: str

    def __str__(self) -> str:
        return f"{self.name} {self.version} ({f'here {self.here}' if self.here else 'not here'})"


def add_environments(repository: Repository, gathered: Gathered) -> Repository:
    """Give models the environments and requirements of their definitions.

    Raises:
        DiagnosticError: an environment can't be made, or isn't for a model in Python of its own.
    """
    asking = {one.name: one for one in gathered.definitions if one.options.environment or one.options.requirements}
    found = [diagnostic for one in gathered.definitions for diagnostic in _inside(one, gathered)]
    if found:
        raise DiagnosticError(found)
    models = []
    for model in repository.models:
        definition = asking.get(model.config.name)
        try:
            models.append(model if definition is None else _equip(model, definition))
        except DiagnosticError as error:
            found += error.diagnostics
    if found:
        raise DiagnosticError(found)
    return Repository(tuple(models))


def other_packages(model: Model) -> tuple[OtherPackage, ...]:
    """List the packages of a model's environment that this Python, which calls definitions in a build, has not as such.

    Of a model without an environment there are none.
    """
    found = []
    for folder in (file.source.parent.parent for file in model.beside if file.path == _ACTIVATE and file.source):
        for one in metadata.distributions(path=[str(folder / "site-packages")]):
            name = one.metadata["Name"]
            found.append(OtherPackage(name, one.version, _version_here(name)))
    return tuple(sorted((one for one in found if one.version != one.here), key=lambda one: one.name.lower()))


def _version_here(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return ""


def _inside(definition: Definition[..., Any], gathered: Gathered) -> Iterator[Diagnostic]:
    """Refuse a fused pipeline with a model in it that wants another environment: all of it runs in one Python."""
    if not isinstance(definition, Pipeline) or gathered.choices[id(definition)].lowering != "fused":
        return
    for part in gathered.parts(definition):
        if part.options.environment not in ("", definition.options.environment):
            reason = f"{part.name} has an environment of its own, and a fused pipeline runs in one Python"
            hint = f'take lowering="ensemble", or give the pipeline environment="{part.options.environment}"'
            yield Diagnostic("TF216", definition.where, reason, hint)


def _equip(model: Model, definition: Definition[..., Any]) -> Model:
    model = replace(model, requirements=definition.options.requirements)
    if not definition.options.environment:
        return model
    if model.config.backend != "python":
        reason = "environment is set, but the model doesn't run in Python"
        raise DiagnosticError([Diagnostic("TF114", model.where, reason, "leave it out, or set it on a @model")])
    requirements = definition.file.resolve().parent / definition.options.environment
    if not requirements.is_file():
        reason = f'"{definition.options.environment}" is missing beside {definition.file.name}'
        hint = "environment= names a requirements file of pip's, relative to the file of the definition"
        raise DiagnosticError([Diagnostic("TF301", model.where, reason, hint)])
    try:
        folder = environment_folder(requirements)
    except UnbuildableEnvironment as error:
        raise DiagnosticError([Diagnostic("TF306", model.where, str(error), error.hint)]) from error
    parameters = {**dict(model.config.parameters), **PARAMETER}
    return replace(
        model,
        config=replace(model.config, parameters=tuple(sorted(parameters.items()))),
        beside=(*model.beside, *_files(folder)),
        environment=python_version(),
    )


def _files(folder: Path) -> Iterable[File]:
    paths = sorted(path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    return [File(f"{FOLDER}/{path.relative_to(folder).as_posix()}", source=path) for path in paths]
