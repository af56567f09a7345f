"""From files in a model repository back to the files that the user wrote."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from tritonforge.manifest import InvalidManifest, read_manifest

__all__ = ["Sources", "read_sources"]

_MARKS = ("pyproject.toml", ".git")
"""Of the folder of a project."""


@dataclass(frozen=True, slots=True)
class Sources:
    """Maps paths below a repository, as the server sees it at `served`, to the user's own files.

    `models` is the manifest's: for each model, the path below its folder → the user's path, relative to the project.
    The project may be one of `projects`, a folder above the repository, or the working directory.
    """

    repository: Path
    served: Path
    models: Mapping[str, Mapping[str, str]]
    projects: tuple[Path, ...] = ()

    def folder(self, model: str) -> Path:
        """Give a model's folder."""
        return self.repository / model

    def original(self, file: str, model: str) -> str:
        """Give the user's file behind one in the repository; "" if the file is not the model's, or generated.

        It is an absolute path where that file is found, the manifest's relative one where it isn't. In a repository
        that tritonforge didn't build, the file stands for itself.
        """
        for root in (self.served, self.repository):
            with contextlib.suppress(ValueError):
                inside = Path(file).relative_to(root / model)
                return self._user_file(inside, model)
        return ""

    def named(self, name: str, model: str, *, version: str = "") -> str:
        """Find a model's source by its bare file name, the version's own where it has one; "" if there is none."""
        known, folder = self.models.get(model), self.folder(model)
        paths = map(Path, known) if known is not None else sorted(folder.glob(f"*/**/{name}"))
        found = [folder / path for path in paths if path.name == name]
        own = [path for path in found if path.is_relative_to(folder / version)]
        return self.original(str((own or found)[0]), model) if found else ""

    def own_module(self, name: str, model: str) -> str:
        """Find a module by its dotted name in the folders around a model's sources; "" if none has it."""
        parts = name.split(".")
        for folder in self._folders(model):
            above = folder.joinpath(*parts)
            for file in (above.with_name(f"{parts[-1]}.py"), above / "__init__.py"):
                if file.is_file():
                    return str(file)
            if any(above.glob("*.py")):
                return str(above)
        return ""

    def _folders(self, model: str) -> Iterator[Path]:
        """Give the folders of a model's sources, and those above them in a project that a file marks as one."""
        files = (Path(self._user_file(Path(path), model)) for path in self.models.get(model, ()))
        for folder in dict.fromkeys(file.parent for file in files if file.is_file()):
            chain = (folder, *folder.parents)
            marked = (number for number, one in enumerate(chain) if any((one / mark).exists() for mark in _MARKS))
            yield from chain[: next(marked, 0) + 1]

    def _user_file(self, inside: Path, model: str) -> str:
        known = self.models.get(model)
        if known is None:
            return str(self.repository / model / inside)
        original = known.get(inside.as_posix()) or _of_another_version(known, inside)
        if not original:
            return ""
        projects = (*self.projects, self.repository.parent, Path.cwd(), *self.repository.parents[1:])
        return next((str(project / original) for project in projects if (project / original).is_file()), original)


def _of_another_version(known: Mapping[str, str], inside: Path) -> str:
    """Find the user's path of the file that another version has at this place: a server may have served several."""
    version, _, path = inside.as_posix().partition("/")
    others = {place.partition("/")[2]: original for place, original in known.items() if place[0].isdecimal()}
    return others.get(path, "") if version.isdecimal() else ""


def read_sources(repository: Path, *, served: Path | None = None, projects: Iterable[Path] = ()) -> Sources:
    """Read the manifest of a repository; one that isn't ours, or can't be read, maps nothing."""
    models: dict[str, Mapping[str, str]] = {}
    with contextlib.suppress(InvalidManifest):
        manifest = read_manifest(repository)
        models = {name: dict(model.get("sources", {})) for name, model in manifest.get("models", {}).items()}
    return Sources(repository, served or repository, models, tuple(projects))
