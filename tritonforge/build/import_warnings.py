"""What an import leaves out, or writes down although a build or Triton won't take it: warnings."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from tritonforge import pbtxt
from tritonforge.build.pinned_versions import Pinned
from tritonforge.check.complete import served_versions
from tritonforge.errors import Diagnostic, Where
from tritonforge.ir import ModelConfig
from tritonforge.validate.names import ALLOWED

__all__ = ["versions_in", "warn_of_names", "warn_of_others", "warn_of_steps", "warn_of_versions"]

BY_HAND = (
    ("model.onnx", 'onnx("{path}")'),
    ("model.pt", 'torchscript("{path}", inputs={{…}}, outputs={{…}})'),
    ("model.py", 'model_files("{folder}", backend="python", inputs={{…}}, outputs={{…}})'),
)
"""The definition to write for a model without config.pbtxt, by the file of its version."""

ANY = 'model_files("{folder}", backend="…", inputs={{…}}, outputs={{…}})'


def versions_in(folder: Path) -> list[int]:
    """Give the versions of a model folder, ascending."""
    return sorted(int(entry.name) for entry in folder.iterdir() if entry.is_dir() and entry.name.isdecimal())


def warn_of_versions(
    folder: Path, config: ModelConfig, kept: Mapping[str, int], pinned: Mapping[tuple[str, int], Pinned]
) -> Iterator[Diagnostic]:
    """Name the versions that are left out; `kept` are versions by model, and `pinned` others that are imported, too."""
    name = config.name
    imported = sorted({kept[name], *(version for model, version in pinned if model == name)})
    others = [other for other in versions_in(folder) if other not in imported]
    served = served_versions(pbtxt.to_message(config), tuple(versions_in(folder)))
    renamed = {version: pinned[name, version].config.name for version in served if (name, version) in pinned}
    if renamed:
        now = ", ".join(f'{version} as "{own}"' for version, own in renamed.items())
        reason = f'Triton serves versions {_listed(served)} of it; a build has {kept[name]} as "{name}", and {now}'
        asked = " and ".join(f'for "{own}" in place of version {version}' for version, own in renamed.items())
        yield _warning("TF407", folder, reason, f'have clients that ask "{name}" for a version ask {asked}')
    if others:
        lost = [other for other in others if other in served]
        are = "s {} are" if imported[1:] else " {} is"
        reason = f"only version{are.format(_listed(imported))} referenced; a build leaves out {_listed(others)}"
        if lost:
            all_lost = lost == others
            reason += ", which Triton serves" if all_lost else f"; Triton serves {_listed(lost)} of the repository"
        example = (lost or others)[-1]
        written = f'model_files("…/{folder.name}", version={example}, name="{name}_v{example}", …)'
        hint = f"define one that is to be served: {written}. A build refuses folders that it hasn't written: copy them"
        hint += " only into what is deployed"
        if lost:
            hint += f". Clients that ask for version {example} ask for {name}_v{example} then"
        yield _warning("TF407", folder, reason, hint)


def warn_of_steps(
    configs: Mapping[Path, ModelConfig], kept: Mapping[str, int], pinned: Mapping[tuple[str, int], Pinned]
) -> Iterator[Diagnostic]:
    """Name the steps of ensembles whose model, or its version, isn't imported as it is."""
    for folder, config in configs.items():
        for number, step in enumerate(config.ensemble.steps if config.ensemble else ()):
            version = kept.get(step.model_name)
            subject = f'step {number} takes "{step.model_name}"'
            own = pinned.get((step.model_name, step.model_version))
            if version is None:
                reason = f"{subject}, which isn't imported"
                yield _warning("TF408", folder, reason, f"define {step.model_name}, or load it from another repository")
            elif own and not step.model_namespace:
                reason = f'{subject} version {step.model_version}; that is now a model of its own, "{own.config.name}"'
                hint = "a build writes one version of each model; rename it in its definition and the step, if you like"
                yield _warning("TF408", folder, reason, hint)
            elif step.model_version not in (-1, version):
                reason = f"{subject} version {step.model_version}, and only version {version} is imported"
                yield _warning("TF408", folder, reason, "take model_version=-1, the version that is built")


def warn_of_names(configs: Mapping[Path, ModelConfig]) -> Iterator[Diagnostic]:
    """Name the models that a build refuses for their names."""
    for folder, config in configs.items():
        if not ALLOWED.fullmatch(config.name):
            reason = f'a build refuses the name "{config.name}", which no URL can have'
            hint = "rename the folder to letters of ASCII, digits, _ . and -, the first one no - or ."
            yield _warning("TF410", folder, reason, hint)


def warn_of_others(repository: Path, output: Path, imported: Sequence[Path]) -> Iterator[Diagnostic]:
    """Name the model folders without a config.pbtxt, and what to write for each into `output`."""
    for folder in sorted(path for path in repository.iterdir() if path.is_dir() and path not in imported):
        if folder.name.startswith(".") or not versions_in(folder):
            continue
        newest = folder / str(versions_in(folder)[-1])
        file, text = next((one for one in BY_HAND if (newest / one[0]).exists()), ("", ANY))
        path, below = (Path(os.path.relpath(one, output.parent)).as_posix() for one in (newest / file, folder))
        written = text.format(path=path, folder=below)
        hint = f"write {folder.name} = {written}" if folder.name.isidentifier() else f"write {written}"
        yield _warning("TF409", folder, "it has no config.pbtxt, and isn't imported", hint)


def _listed(versions: Sequence[int]) -> str:
    return ", ".join(map(str, versions))


def _warning(code: str, folder: Path, reason: str, hint: str) -> Diagnostic:
    return Diagnostic(code, Where(str(folder.resolve()), 0, folder.name), reason, hint, "warning")
