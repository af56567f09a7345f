"""How a repository's folder differs from what a build would write there."""

from __future__ import annotations

import difflib
import io
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tritonforge.build.tree import MANIFEST, Tree, content_of, present

__all__ = ["differences"]


def differences(tree: Tree, previous: Mapping[str, Any], repository: Path) -> Iterator[str]:
    """Give the lines of a unified difference from a folder to what a build would write; none where they are equal.

    A new version of a model is held against the version that `previous`, the folder's manifest, has of it: what both
    have is no difference. A line before all others says which version the model gets.
    """
    before = {name: int(one["version"]) for name, one in previous.get("models", {}).items()}
    after = {built.model.config.name: built.version for built in tree.models}
    moved = {name: (before[name], after[name]) for name in sorted(before.keys() & after.keys())}
    moved = {
        name: (old, new)
        for name, (old, new) in moved.items()
        if old != new and not (repository / name / str(new)).exists()
    }
    for name, (old, new) in moved.items():
        yield f"{name} gets version {new} in the place of {old}; the folders {name}/{old} and {name}/{new} differ in:\n"
    there = {_renamed(path, moved): path for path in present(repository)}
    for path in sorted(there.keys() | tree.files.keys()):
        known = there.get(path)
        one = (repository / known).read_bytes() if known is not None else None
        if known == MANIFEST and moved:
            one = _renamed_manifest(previous, moved)
        other = content_of(tree.files[path]) if path in tree.files else None
        if one != other:
            yield from _difference(known or path, path, one, other)


def _renamed(path: str, moved: Mapping[str, tuple[int, int]]) -> str:
    """Give the path that a file of an old version has in the new one."""
    name, _, inner = path.partition("/")
    old, new = moved.get(name, (0, 0))
    return f"{name}/{new}/{inner.partition('/')[2]}" if name in moved and inner.startswith(f"{old}/") else path


def _renamed_manifest(manifest: Mapping[str, Any], moved: Mapping[str, tuple[int, int]]) -> bytes:
    """Write a manifest with files of old versions under their new paths: all others would differ by that alone."""
    models = {
        name: {
            key: {_renamed(f"{name}/{path}", moved).partition("/")[2]: one for path, one in value.items()}
            if key in ("files", "sources")
            else value
            for key, value in model.items()
        }
        for name, model in manifest["models"].items()
    }
    return (json.dumps({**manifest, "models": models}, indent=2, sort_keys=True, ensure_ascii=False) + "\n").encode()


def _difference(old_path: str, path: str, old: bytes | None, new: bytes | None) -> Iterator[str]:
    before = "/dev/null" if old is None else f"a/{old_path}"
    after = "/dev/null" if new is None else f"b/{path}"
    try:
        one, other = (list(io.StringIO((content or b"").decode(), newline="\n")) for content in (old, new))
    except UnicodeDecodeError:
        yield f"Binary files {before} and {after} differ\n"
        return
    for line in difflib.unified_diff(one, other, fromfile=before, tofile=after):
        yield line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n"
    if not one and not other:
        yield f"Empty file {before} is now {after}\n"
