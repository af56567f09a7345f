"""What a build tells of itself."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from tritonforge.build.tree import Tree
from tritonforge.emit import kind_of
from tritonforge.errors import Diagnostic
from tritonforge.lower import Choice

__all__ = ["BuildReport", "BuiltModel", "report"]

Change = Literal["new", "changed", "restored", "unchanged"]


@dataclass(frozen=True, slots=True)
class BuiltModel:
    """A model of a built repository. `change` says how it stands to the one that was there.

    It is `restored` where that was of the same definitions, and its files had been edited, or were gone.
    """

    name: str
    version: int
    kind: str
    change: Change
    signature: str


@dataclass(frozen=True, slots=True)
class BuildReport:
    """What a build made: the folder, its models, which of those before are gone, and what it warns of.

    `lowerings` say of each pipeline what it became, and why.
    """

    output: Path
    models: tuple[BuiltModel, ...]
    removed: tuple[str, ...]
    warnings: tuple[Diagnostic, ...]
    lowerings: tuple[Choice, ...] = ()


def report(
    tree: Tree,
    previous: Mapping[str, Any],
    output: Path,
    warnings: tuple[Diagnostic, ...],
    lowerings: tuple[Choice, ...],
    edited: Collection[str] = (),
) -> BuildReport:
    """Hold what was built against the previous manifest; `edited` are models whose files weren't those of a build."""
    before = previous.get("models", {})
    models = []
    for built in tree.models:
        name = built.model.config.name
        change: Change = "new"
        if name in before:
            change = _change(before[name]["hash"] == built.content_hash, edited=name in edited)
        models.append(BuiltModel(name, built.version, kind_of(built.model), change, str(built.model.signature)))
    removed = sorted(before.keys() - {model.name for model in models})
    return BuildReport(output, tuple(models), tuple(removed), warnings, lowerings)


def _change(same: bool, *, edited: bool) -> Change:
    if not same:
        return "changed"
    return "restored" if edited else "unchanged"
