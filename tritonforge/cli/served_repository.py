"""What `up` serves: a repository as it is, or one built from definitions for the occasion."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from tritonforge.build import Project
    from tritonforge.server import ServerSettings, Workspace

__all__ = [
    "Chosen",
    "build_chosen",
    "choose",
    "warn_of_edits",
    "warn_of_foreign_code",
    "warn_of_idle_fields",
    "warn_of_requirements",
]

_DEFAULT = Path("model_repository")


@dataclass(frozen=True)
class Chosen:
    """A repository, or the definitions to build one from."""

    repository: Path | None
    sources: tuple[Path, ...] = ()

    @property
    def title(self) -> str:
        """A name for the server of it: the file's, or that of the folder that the repository is in."""
        if self.repository is not None:
            return self.repository.resolve().parent.name
        return self.sources[0].resolve().stem


def choose(path: Path | None, project: Project, *, definitions: bool = False) -> Chosen:
    """Tell a repository from definitions; without a path, take what the project has, `definitions` first if wished."""
    from tritonforge.cli.build import shorten
    from tritonforge.errors import Where
    from tritonforge.server.repository.folder import holds_models, is_model, is_repository

    if path is None:
        if definitions and project.sources:
            return Chosen(None, project.sources)
        for folder in (shorten(project.repository), _DEFAULT):
            if is_repository(folder):
                return Chosen(folder)
        if not project.sources:
            raise typer.BadParameter(
                f"name a model repository or a file of definitions; there is no {_DEFAULT} here, and pyproject.toml "
                'has no definitions = ["…"] in [tool.tritonforge]',
                param_hint="REPO or FILE",
            )
        return Chosen(None, project.sources)
    if not path.exists():
        raise typer.BadParameter(f"{path} does not exist", param_hint="REPO or FILE")
    if holds_models(path):
        return Chosen(path)
    if is_model(path) and not any(path.glob("*.py")):
        reason = f"{path} is a model; name its repository: {Where(str(path.resolve().parent))}"
        raise typer.BadParameter(reason, param_hint="REPO or FILE")
    return Chosen(None, (path,))


def build_chosen(chosen: Chosen, project: Project, workspace: Workspace) -> Path:
    """Give the repository's folder; definitions are built into the workspace."""
    if chosen.repository is not None:
        return chosen.repository
    from tritonforge.build import build

    report = build(chosen.sources, workspace.folder / "model_repository", target=project.target)
    for warning in report.warnings:
        typer.echo(str(warning), err=True)
    return workspace.folder / "model_repository"


def warn_of_foreign_code(repository: Path) -> None:
    """Say of a repository that tritonforge didn't build which of its models run code of their own here.

    In one that it did build, those may have been added that its manifest doesn't know. Of one whose manifest is no good
    nothing is said: that stops the start later.
    """
    from tritonforge.manifest import MANIFEST
    from tritonforge.server.repository.folder import python_models
    from tritonforge.server.repository.manifest import built_models, check_manifest

    if check_manifest(repository):
        return
    built = built_models(repository)
    models = [model for model in python_models(repository) if model not in built]
    if not models:
        return
    added = (repository / MANIFEST).is_file()
    what = (
        f"{MANIFEST} doesn't know some models of {repository}"
        if added
        else f"{repository} was not built by tritonforge"
    )
    typer.echo(f"{what}; Python code of its models runs as you: {', '.join(models)}", err=True)


def warn_of_edits(repository: Path) -> None:
    """Say of a repository which of its models aren't what was built, and which links lead nowhere or into circles."""
    from tritonforge.manifest import InvalidManifest, find_edits
    from tritonforge.repository_files import dead_links
    from tritonforge.server.repository.folder import circles

    with suppress(OSError):  # what is no repository stops the start later
        for name in dead_links(repository):
            typer.echo(f"warning: {repository / name}: the link leads nowhere; it is left out", err=True)
        for link in circles(repository):
            words = f"the link leads to a folder that it lies in, {link.resolve()}"
            typer.echo(f"warning: {link}: {words}, and Triton may follow it without end; remove it", err=True)
    with suppress(InvalidManifest):
        for warning in find_edits(repository):
            typer.echo(str(warning), err=True)


def warn_of_requirements(repository: Path) -> None:
    """Say which built models ask for packages that this Python, in which an embedded server runs them, lacks."""
    from tritonforge.manifest import InvalidManifest
    from tritonforge.server.installed.packages import check_requirements

    with suppress(InvalidManifest):
        for warning in check_requirements(repository):
            typer.echo(str(warning), err=True)


def warn_of_idle_fields(repository: Path, settings: ServerSettings) -> None:
    """Say which fields of its models' configurations do nothing as the server is set."""
    from tritonforge.server.settings.idle import idle_fields

    for words in idle_fields(repository, settings):
        typer.echo(f"warning: {words}", err=True)
