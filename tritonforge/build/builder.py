"""The build: discover → lower → validate → emit → write → check → exchange."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from tritonforge.build.differences import differences
from tritonforge.build.discover import Discovered, find_sources, importing
from tritonforge.build.environments import add_environments
from tritonforge.build.golden import GoldenMaker, drawn_before, golden_files
from tritonforge.build.project import EMBEDDED_RELEASE
from tritonforge.build.refused import find_refused
from tritonforge.build.report import BuildReport, report
from tritonforge.build.sound import model_of, sound
from tritonforge.build.sources import Sources, collect, project_root
from tritonforge.build.tree import Tree, edited, plan, present, read_manifest
from tritonforge.build.write import write
from tritonforge.define import Definition
from tritonforge.errors import Diagnostic, DiagnosticError, Where
from tritonforge.ir import Code, Repository
from tritonforge.lower import Choice, Gathered, gather, lower
from tritonforge.validate import check_target, validate

__all__ = ["build", "check_build"]

AnyPath = str | os.PathLike[str]


def build(
    paths: Sequence[AnyPath], output: AnyPath, *, target: str = EMBEDDED_RELEASE, golden: int | None = None
) -> BuildReport:
    """Build a model repository from files or folders of definitions.

    The folder `output` is replaced in one step; where anything is wrong it stays as it was.

    Args:
        paths: Python files, packages, or folders that hold such files.
        output: the repository's folder; it is made, or must hold an earlier build.
        target: the Triton release to build for, `YY.MM`.
        golden: how many golden samples are made at random of each model that has no examples of its own; by default
            as many as the folder's last build made.

    Raises:
        DiagnosticError: everything that is wrong with the definitions, collected; or what Triton would refuse of what
            they say.
        OSError: the folder can't be written.
    """
    output = Path(output)
    previous = _previous(output)
    _refuse_strangers(previous, output)
    tree, lowerings, found = _compile(paths, previous, target, output, golden)
    restored = edited(tree, output)

    def inspect(folder: Path) -> None:
        found.extend(find_refused(folder, tree, target=target))
        _raise_errors(found)

    write(tree.files, output, inspect=inspect)
    return report(tree, previous, output, tuple(found), lowerings, restored)


def check_build(
    paths: Sequence[AnyPath], output: AnyPath, *, target: str = EMBEDDED_RELEASE, golden: int | None = None
) -> str:
    """Give the unified difference from the folder to what a build would write there; empty where it is up to date.

    Raises:
        DiagnosticError: everything that is wrong with the definitions, collected.
    """
    output = Path(output)
    previous = _previous(output)
    tree, _, found = _compile(paths, previous, target, output, golden)
    _raise_errors(found)
    return "".join(differences(tree, previous, output))


def _compile(
    paths: Sequence[AnyPath], previous: dict[str, Any], target: str, output: Path, golden: int | None
) -> tuple[Tree, tuple[Choice, ...], list[Diagnostic]]:
    """Give the files of all models of which nothing wrong is known, and what was found, errors too."""
    if not re.fullmatch(r"2\d\.(0[1-9]|1[0-2])", target):
        raise DiagnosticError(
            [
                Diagnostic(
                    "TF404", Where(subject=f'target "{target}"'), "it is not a Triton release", "write YY.MM: 24.10"
                )
            ]
        )
    sources, absolute = find_sources([Path(path) for path in paths]), output.absolute()
    with importing(sources) as discovered:
        repository, gathered, found = _lower(discovered, target)
        if not repository.models:
            _raise_errors(found)
            places = ", ".join(str(path) for path in paths)
            reason = "no definitions in it: no module-level variable holds a model or a pipeline"
            nothing = Diagnostic("TF105", Where(subject=places), reason, "define one with @model")
            raise DiagnosticError([*found, nothing])
        project = project_root(sources[0].file)
        maker = GoldenMaker(gathered, previous, absolute, drawn_before(previous) if golden is None else golden)
        tree = plan(repository, previous, target=target, project=project, golden=maker)
    lowerings = sorted(gathered.choices.values(), key=lambda choice: choice.name)
    return tree, tuple(lowerings), [*found, *maker.diagnostics]


def _lower(discovered: list[Discovered], target: str) -> tuple[Repository, Gathered, list[Diagnostic]]:
    recorded = [asked for source in discovered for asked in source.assets]
    loaded = {source.file: source.loaded for source in discovered}
    collected = cache(lambda module, file: collect(module, file, recorded, loaded.get(file)))

    def code_of(definition: Definition[..., object]) -> Code:
        sources: Sources = collected(definition.module, definition.file)
        return sources.code(definition.file.name)

    gathered = gather(definition for source in discovered for definition in source.definitions)
    repository, unlowered = lower(gathered, code_of)
    faults = (fault for source in discovered for fault in source.faults)
    checked = (*validate(repository), *check_target(repository, target))
    found = dict.fromkeys((*faults, *_lost(discovered, gathered), *gathered.diagnostics, *unlowered, *checked))
    ordered = _without_consequences(sorted(found, key=_place))
    if errors := [one for one in ordered if one.severity == "error"]:
        return sound(repository, gathered, errors), gathered, ordered
    return add_environments(repository, gathered), gathered, ordered


def _lost(discovered: list[Discovered], gathered: Gathered) -> Iterator[Diagnostic]:
    """Warn of models that are not built: no variable of a module holds them, and no pipeline calls them."""
    there = {id(definition) for definition in gathered.definitions}
    for definition in (one for source in discovered for one in source.unheld if id(one) not in there):
        reason = "no module-level variable holds it, and no pipeline calls it, so it is not built"
        hint = "assign it to a variable at the top of its module; of several, each to one of its own"
        yield Diagnostic("TF108", definition.where, reason, hint, severity="warning")


def _raise_errors(found: list[Diagnostic]) -> None:
    if any(one.severity == "error" for one in found):
        raise DiagnosticError(sorted(found, key=_place))


def _place(diagnostic: Diagnostic) -> tuple[str, int]:
    return diagnostic.where.file, diagnostic.where.line


def _without_consequences(found: list[Diagnostic]) -> list[Diagnostic]:
    """Leave out what is said to be unused only because the call that uses it is wrong."""
    broken = {_model(one) for one in found if one.code in ("TF201", "TF202", "TF207")}
    return [one for one in found if not (one.code in ("TF206", "TF215") and _model(one) in broken)]


def _model(diagnostic: Diagnostic) -> tuple[str, str]:
    return diagnostic.where.file, model_of(diagnostic)


def _previous(output: Path) -> dict[str, Any]:
    """Read the manifest of what is in the output folder."""
    if output.exists() and not output.is_dir():
        raise _occupied(output, "it is a file")
    return read_manifest(output)


def _refuse_strangers(manifest: dict[str, Any], output: Path) -> None:
    """Refuse a folder that holds what no build has written; it would be lost."""
    known = {f"{name}/{path}" for name, model in manifest.get("models", {}).items() for path in model["files"]}
    strange = sorted(set(present(output)) - known - golden_files(manifest) - {"tritonforge.json"})
    if strange:
        listing = ", ".join(strange[:3]) + (f" and {len(strange) - 3} more" if len(strange) > 3 else "")
        raise _occupied(output, f"it holds files that no build has written: {listing}")


def _occupied(output: Path, reason: str) -> DiagnosticError:
    hint = "build into another folder (-o), or move them away; a build replaces the whole folder"
    return DiagnosticError([Diagnostic("TF401", Where(os.fspath(output)), reason, hint)])
