"""What models need of the server's own Python, `requirements=` of their definitions, beside what that has."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from tritonforge.errors import Diagnostic, Where
from tritonforge.manifest import read_manifest

__all__ = ["check_requirements"]


def check_requirements(repository: Path) -> list[Diagnostic]:
    """Warn of each built model whose `requirements=` this Python, which the embedded server's models run in, lacks.

    A model with an environment has its packages from there.

    Raises:
        InvalidManifest: as `read_manifest` does.
    """
    models = read_manifest(repository).get("models", {})
    asked = {name: [] if entry.get("environment") else entry.get("requirements", []) for name, entry in models.items()}
    found = []
    for name, requirements in sorted(asked.items()):
        if lacking := list(_lacking(map(str, requirements))):
            message = f"this Python lacks what it requires: {'; '.join(text for _, text in lacking)}"
            install = " ".join(f'"{requirement}"' for requirement, _ in lacking)
            hint = f"{sys.executable} -m pip install {install}; or give the model packages of its own by environment="
            found.append(Diagnostic("TF517", Where(str(repository / name), 0, name), message, hint, "warning"))
    return found


def _lacking(requirements: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Give the requirements that aren't met, and what there is; what this Python can't read was for pip to judge."""
    from importlib import metadata  # here, with `packaging`: most repositories ask for nothing

    from packaging.requirements import InvalidRequirement, Requirement

    for text in requirements:
        try:
            requirement = Requirement(text)
        except InvalidRequirement:
            continue
        if requirement.marker and not requirement.marker.evaluate():
            continue
        try:
            version = metadata.version(requirement.name)
        except metadata.PackageNotFoundError:
            yield text, f"{text} (not installed)"
        else:
            if not requirement.specifier.contains(version, prereleases=True):
                yield text, f"{text} ({version} is installed)"
