"""A repository made by hand → definitions that build to equal configurations."""

from __future__ import annotations

import keyword
import os
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tritonforge import pbtxt
from tritonforge.build.expressions import call, names
from tritonforge.build.import_warnings import (
    versions_in,
    warn_of_names,
    warn_of_others,
    warn_of_steps,
    warn_of_versions,
)
from tritonforge.build.imported_onnx import onnx_arguments
from tritonforge.build.pinned_versions import of_one_version, pinned_versions, point_steps
from tritonforge.build.typed_config import typed
from tritonforge.define import ModelFiles
from tritonforge.define.origin import Origin
from tritonforge.errors import Diagnostic, DiagnosticError, Where
from tritonforge.ir import ModelConfig
from tritonforge.lower import lower_files
from tritonforge.repository_files import read_text

__all__ = ["Imported", "import_repository"]

CONFIG = "config.pbtxt"
HEADER = '"""The models in {folder}, imported; `tritonforge build` makes a repository of them again."""\n'


@dataclass(frozen=True, slots=True)
class Imported:
    """The source of the definitions, the names of their models, and what they leave out."""

    source: str
    models: tuple[str, ...]
    warnings: tuple[Diagnostic, ...]


def import_repository(repository: Path, output: Path) -> Imported:
    """Write definitions for every model of a repository; nothing is written to disk.

    Its settings are typed, its files referenced where they are, relative to `output`. An ONNX file whose graph says
    its tensors is an `onnx`, all else a `model_files`. What the typed settings can't say goes into `extra`, so that the
    configurations are equal in any case.

    Args:
        repository: the folder of model folders.
        output: the file that the source is for.

    Raises:
        DiagnosticError: there are no models, or a config.pbtxt can't be read.
    """
    folders = sorted(path.parent for path in repository.glob(f"*/{CONFIG}"))
    if not folders:
        reason = f"no folder in it has a {CONFIG}"
        others = warn_of_others(repository, output, ())
        raise DiagnosticError([Diagnostic("TF406", Where(str(repository)), reason, "name a model repository"), *others])
    configs = _read_all(folders)
    taken: set[str] = set()
    used: set[str] = set()
    blocks: list[str] = []
    kept = {config.name: _version(folder, config) or 1 for folder, config in configs.items()}
    pinned = pinned_versions(configs, kept)
    defined = [
        (folder, of_one_version(point_steps(config, pinned), version), version)
        for folder, config in configs.items()
        for version in (_version(folder, config),)
    ]
    defined += [(one.folder, one.config, one.version) for one in pinned.values()]
    for folder, config, version in sorted(defined, key=lambda one: one[0]):
        variable = _variable(config.name, taken)
        function, path, arguments = _definition(folder, config, version, output)
        used |= {function, *names(arguments)}
        relative = (Path(os.path.relpath(path, output.parent)).as_posix(),) if path else ()
        named = arguments if variable == config.name else {"name": config.name, **arguments}
        blocks.append(f"{variable} = {call(function, relative, named)}\n")
    header = HEADER.format(folder=repository.name)
    imports = _enumerate(sorted(used, key=lambda name: (name[0].islower(), name.lower())))
    source = f"{header}\n{imports}\n{''.join(blocks)}"
    warnings = (
        *(one for folder, config in configs.items() for one in warn_of_versions(folder, config, kept, pinned)),
        *warn_of_steps(configs, kept, pinned),
        *warn_of_names(configs),
        *warn_of_others(repository, output, folders),
    )
    return Imported(source, tuple(config.name for _, config, _ in defined), warnings)


def _read_all(folders: Iterable[Path]) -> dict[Path, ModelConfig]:
    configs: dict[Path, ModelConfig] = {}
    faults: list[Diagnostic] = []
    for folder in folders:
        try:
            configs[folder] = _read(folder)
        except DiagnosticError as error:
            faults += error.diagnostics
    if faults:
        raise DiagnosticError(faults)
    return configs


def _read(folder: Path) -> ModelConfig:
    path = folder / CONFIG
    try:
        config = pbtxt.parse(read_text(path))
    except (ValueError, OSError) as error:
        line = re.match(r"(\d+):", str(error))
        where = Where(str(path.resolve()), int(line[1]) if line else 0, folder.name)
        hint = "tritonforge check tells more"
        raise DiagnosticError([Diagnostic("TF406", where, f"it is no ModelConfig: {error}", hint)]) from error
    return config if config.name else replace(config, name=folder.name)  # Triton names it after its folder, too


def _definition(
    folder: Path, config: ModelConfig, version: int | None, output: Path
) -> tuple[str, Path | None, dict[str, Any]]:
    """Give the function that defines a version of a model, the path it is given, and its other arguments."""
    if version == 1 and {entry.name for entry in folder.iterdir()} == {CONFIG, "1"}:
        arguments = onnx_arguments(folder / "1" / "model.onnx", config, output)
        if arguments is not None:
            return "onnx", folder / "1" / "model.onnx", arguments
    common = {} if versions_in(folder) in ([], [1]) else {"version": version}
    return "model_files", folder if _has_files(folder) else None, _arguments(config, common, output)


def _arguments(config: ModelConfig, common: dict[str, Any], output: Path) -> dict[str, Any]:
    """Give the arguments of `model_files`, and make sure that they say what config.pbtxt does."""
    wanted = pbtxt.to_message(config)
    arguments = {**common, **typed(config)}
    if _configured(config.name, arguments, output) == wanted:
        return arguments
    content = {name: value for name, value in pbtxt.to_dict(config).items() if name not in ("name", "max_batch_size")}
    return {**common, "max_batch_size": config.max_batch_size, "extra": content}


def _configured(name: str, arguments: dict[str, Any], output: Path) -> Any:
    """Build the configuration that arguments of `model_files` give."""
    origin = Origin(Where(str(output)), {})
    try:
        definition = ModelFiles("", origin=origin, **{**arguments, "name": name})
        return pbtxt.to_message(lower_files(definition).config)
    except (DiagnosticError, ValueError):
        return None


def _has_files(folder: Path) -> bool:
    """Say whether a model has files at all; an ensemble has an empty version folder, or none."""
    return any(path.is_file() for path in folder.rglob("*") if path != folder / CONFIG)


def _version(folder: Path, config: ModelConfig) -> int | None:
    versions = versions_in(folder)
    policy = config.version_policy
    if policy is not None and policy.specific:
        versions = [version for version in versions if version in policy.specific] or versions
    return versions[-1] if versions else None


def _variable(name: str, taken: set[str]) -> str:
    """Make a variable's name of a model's, and take it."""
    base = re.sub(r"\W", "_", name, flags=re.ASCII)
    base = f"model_{base}" if not base or base[0].isdigit() else base
    if keyword.iskeyword(base) or base in ("model_files", "onnx") or base[:1].isupper():
        base = f"{base}_"
    variable, number = base, 2
    while variable in taken:
        variable, number = f"{base}_{number}", number + 1
    taken.add(variable)
    return variable


def _enumerate(used: Iterable[str]) -> str:
    """Write the import statement."""
    listed = list(used)
    line = f"from tritonforge import {', '.join(listed)}\n"
    if len(line) <= 100:
        return line
    return "from tritonforge import (\n" + "".join(f"    {one},\n" for one in listed) + ")\n"
