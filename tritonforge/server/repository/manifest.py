"""The manifest of a repository, as far as a server reads it."""

from __future__ import annotations

import contextlib
from pathlib import Path

from tritonforge.errors import Diagnostic, Where
from tritonforge.manifest import InvalidManifest, read_manifest

__all__ = ["built_models", "check_environments", "check_manifest", "read_requirements", "read_target"]


def check_manifest(repository: Path) -> list[Diagnostic]:
    """Check that the manifest, if there is one, is what a build writes; a repository without one is fine."""
    try:
        read_manifest(repository)
    except InvalidManifest as error:
        return list(error.diagnostics)
    return []


def check_environments(repository: Path, python: str) -> list[Diagnostic]:
    """Check that the models' own environments are made for a server's CPython (`3.11`); the manifest is a good one."""
    models = read_manifest(repository).get("models", {})
    made = {name: str(entry.get("environment", {}).get("python", python)) for name, entry in models.items()}
    hint = f"build the repository again, with CPython {python}"
    return [
        Diagnostic(
            "TF513",
            Where(file=str(repository / name), subject=name),
            f"its environment is made for CPython {version}, and the server runs {python}",
            hint,
        )
        for name, version in sorted(made.items())
        if version != python
    ]


def built_models(repository: Path) -> set[str]:
    """Name the models that the manifest has; none of a repository without a good one."""
    with contextlib.suppress(InvalidManifest):
        return set(read_manifest(repository).get("models", {}))
    return set()


def read_target(repository: Path) -> str:
    """Give the Triton release that a repository was built for; the embedded server's where it doesn't say.

    Raises:
        InvalidManifest: its manifest is not what a build writes.
    """
    from tritonforge.build.project import EMBEDDED_RELEASE

    return str(read_manifest(repository).get("target") or EMBEDDED_RELEASE)


def read_requirements(repository: Path) -> tuple[str, ...]:
    """Give what the models need in the server's own Python, as pip writes it: `requirements=` of their definitions."""
    models = read_manifest(repository).get("models", {}).values()
    return tuple(sorted({str(one) for model in models for one in model.get("requirements", ())}))
