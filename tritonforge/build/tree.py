"""A repository's files before they are written: content and versions."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tritonforge import __version__, resources
from tritonforge.build.environments import FOLDER as ENVIRONMENT
from tritonforge.emit import Built, Emitter, manifest
from tritonforge.ir import File, Model, Repository
from tritonforge.manifest import MANIFEST, unreadable
from tritonforge.manifest import read_manifest as read_any

__all__ = ["MANIFEST", "Tree", "content_of", "edited", "plan", "present", "read_manifest"]

IGNORED = frozenset({"__pycache__"})
_STRAY = frozenset({".DS_Store", "Thumbs.db", "desktop.ini"})
"""Files that a machine's file manager puts into any folder."""

_LARGE = 1 << 20
KNOWN = frozenset({"version", "hash", "files"})
"""What is read again of each model in a manifest."""


@dataclass(frozen=True, slots=True)
class Tree:
    """All files of a repository by their paths in it, and the models that they make up."""

    files: Mapping[str, File]
    models: tuple[Built, ...]


def plan(
    repository: Repository,
    previous: Mapping[str, Any],
    *,
    target: str,
    project: Path,
    golden: Callable[[Sequence[Built]], Iterable[tuple[Built, File]]] = lambda built: (),
) -> Tree:
    """Lay a repository out. A model whose content is as in the previous manifest keeps its version, else gets the next.

    Args:
        repository: what was lowered.
        previous: the manifest of the repository that is there now, or an empty mapping.
        target: the Triton release that it is built for.
        project: the folder that the manifest's source paths are relative to.
        golden: makes the golden samples of models: each that has some, saying so, and their file.
    """
    earlier = {**previous.get("retired", {}), **previous.get("models", {})}
    emitter = Emitter((resources.model_templates() / "model.py.j2").read_text(), _runtime())
    hashes: dict[Path, str] = {}
    files: dict[str, File] = {}
    built = []
    for model in repository.models:
        config, inner = emitter.config(model), emitter.version(model)
        beside = {f"../{file.path}": file for file in model.beside}
        keyed = {**{file.path: file for file in (config, *inner)}, **beside}
        digests = {key: _digest(file, hashes) for key, file in keyed.items()}
        digest = hashlib.sha256(json.dumps(digests, sort_keys=True).encode()).hexdigest()
        version = model.version or _version(earlier.get(model.config.name, {}), digest)
        placed = {config.path: config.path, **{f"{version}/{file.path}": file.path for file in inner}}
        placed |= {key.removeprefix("../"): key for key in beside}
        files |= {f"{model.config.name}/{path}": keyed[key] for path, key in placed.items()}
        digested = {path: digests[key] for path, key in placed.items()}
        built.append(Built(model, version, digest, digested, _sources(model, version, project)))
    for one, file in golden(built):
        built = [one if other.model is one.model else other for other in built]
        files[file.path] = file
    gone = earlier.keys() - {model.config.name for model in repository.models}
    retired = {name: {key: earlier[name][key] for key in ("version", "hash")} for name in sorted(gone)}
    content = manifest(built, retired, tool_version=__version__, target=target)
    files[MANIFEST] = File(MANIFEST, content=content)
    return Tree(dict(sorted(files.items())), tuple(built))


def read_manifest(repository: Path) -> dict[str, Any]:
    """Read a repository's manifest; empty where it has none.

    Raises:
        InvalidManifest: it is not what a build writes.
    """
    content = read_any(repository)
    if not all(one.keys() >= KNOWN for one in content.get("models", {}).values()):
        raise unreadable(repository, "is not a manifest that a build has written")
    return content


def edited(tree: Tree, repository: Path) -> frozenset[str]:
    """Name the models of which a folder has not the files that are to be written: by hand, for one.

    Of large files only the size is looked at.
    """
    return frozenset(path.partition("/")[0] for path, file in tree.files.items() if not _is(file, repository / path))


def _is(file: File, there: Path) -> bool:
    if not there.is_file():
        return False
    size = len(file.content) if file.content is not None else os.stat(file.source or "").st_size
    return there.stat().st_size == size and (size > _LARGE or there.read_bytes() == content_of(file))


def present(repository: Path) -> Iterator[str]:
    """Give the paths of all files below a repository's folder, without what Python and file managers leave there."""
    for folder, folders, names in os.walk(repository):
        folders[:] = sorted(name for name in folders if name not in IGNORED)
        for name in sorted(set(names) - _STRAY):
            yield Path(folder, name).relative_to(repository).as_posix()


def content_of(file: File) -> bytes:
    """Give a file's bytes."""
    if file.content is not None:
        return file.content
    assert file.source is not None
    return file.source.read_bytes()


def _runtime() -> tuple[File, ...]:
    folder = resources.python_backends() / "tritonforge_runtime"
    paths = sorted(path for path in folder.rglob("*.py") if not IGNORED & set(path.parts))
    return tuple(
        File(f"tritonforge_runtime/{path.relative_to(folder).as_posix()}", content=path.read_bytes()) for path in paths
    )


def _digest(file: File, known: dict[Path, str]) -> str:
    if file.content is not None:
        return hashlib.sha256(file.content).hexdigest()
    assert file.source is not None
    if file.source not in known:
        with file.source.open("rb") as opened:
            digest = hashlib.sha256()
            while block := opened.read(1 << 20):
                digest.update(block)
        known[file.source] = digest.hexdigest()
    return known[file.source]


def _version(previous: Mapping[str, Any], content: str) -> int:
    if not previous:
        return 1
    version = int(previous["version"])
    return version if previous["hash"] == content else version + 1


def _sources(model: Model, version: int, project: Path) -> dict[str, str]:
    """Tell which file of the user's each copied one is, relative to the project.

    Weights and data are told where they are in the project: elsewhere they are another machine's elsewhere.
    """
    origins = model.code.origins if model.code is not None else ()
    found = {f"{version}/{path}": Path(os.path.relpath(origin, project)).as_posix() for path, origin in origins}
    placed = [(f"{version}/{file.path}", file.source) for file in model.files]
    placed += ((file.path, file.source) for file in model.beside if not file.path.startswith(f"{ENVIRONMENT}/"))
    for path, source in placed:
        if source is not None and source.is_relative_to(project) and "site-packages" not in source.parts:
            found[path] = source.relative_to(project).as_posix()
    return found
