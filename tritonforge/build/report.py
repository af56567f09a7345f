"""What a build tells of itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from tritonforge.build.tree import Tree
from tritonforge.emit import kind_of
from tritonforge.errors import Diagnostic
from tritonforge.lower import Choice

__all__ = ["BuildReport", "BuiltModel", "report"]

Change = Literal["new", "changed", "unchanged"]


@dataclass(frozen=True, slots=True)
class BuiltModel:
    """A model of a built repository. `change` says how it stands to the one that was there."""

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
) -> BuildReport:
    """Hold what was built against the previous manifest."""
    before = previous.get("models", {})
    models = []
    for built in tree.models:
        name = built.model.config.name
        change: Change = "new"
        if name in before:
            change = "unchanged" if before[name]["hash"] == built.content_hash else "changed"
        models.append(BuiltModel(name, built.version, kind_of(built.model), change, str(built.model.signature)))
    removed = sorted(before.keys() - {model.name for model in models})
    return BuildReport(output, tuple(models), tuple(removed), warnings, lowerings)
