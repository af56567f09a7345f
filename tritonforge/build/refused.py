"""What the checker says of a repository that is about to be put in its place."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from tritonforge.build.tree import Tree
from tritonforge.check import Finding, check_repository
from tritonforge.errors import Diagnostic, Where

__all__ = ["find_refused"]

_TOLD = frozenset({"TF613", "TF626", "TF633", "TF641", "TF686", "TF693", "TF694"})
"""Of versions that no build keeps, of labels that aren't as many as values, of queues that stall, of ids that Triton
can't hand over, of controls that a graph hasn't, and of more instances than the machine bears."""

_CONSEQUENCE = "TF678"
"""Of an ensemble, that one of its models won't load."""


def find_refused(folder: Path, tree: Tree, *, target: str) -> list[Diagnostic]:
    """Check a written repository; of ONNX files those that are carried, or have states or controls.

    All else was made from them.

    Gives what Triton would refuse, at the definitions' lines; else what it warns of: that so many instances want more
    than this machine, or a container, has, versions that a policy names and no build keeps, another number of labels
    than of values, settings with which Triton lets requests wait or refuses all, and controls for which a graph has no
    inputs.
    """
    carried = {built.model.config.name for built in tree.models if built.model.declared}
    checked = check_repository(folder, target=target, graphs=carried)
    errors = checked.errors
    places = {built.model.config.name: built.model.where for built in tree.models}
    if not errors:
        return [_diagnostic(finding, places) for finding in checked.findings if finding.code in _TOLD]
    causes = [finding for finding in errors if finding.code != _CONSEQUENCE]
    return list(dict.fromkeys(_diagnostic(finding, places) for finding in causes or errors))


def _diagnostic(finding: Finding, places: Mapping[str, Where]) -> Diagnostic:
    subject = ", ".join(part for part in (finding.model or finding.path, finding.field) if part)
    where = places.get(finding.model, Where()).at(subject)
    return Diagnostic(finding.code, where, finding.message, finding.hint, finding.severity)
