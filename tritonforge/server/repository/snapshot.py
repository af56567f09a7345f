"""The repository as a server has it: links to the files that there were, so that a build takes nothing away from it.

A build puts a new folder in the repository's place. A server that still served the old one would find a lazily opened
file gone, or another in its place. So it gets a tree of its own: large files are links to the same bytes, small ones
are copies, which an editor can't change below it. `refresh` brings one model up to date, and can take that back. Who
can read the repository can read the tree, if they get there: a container may run as its owner. The folder around it is
for whoever starts the server alone.
"""

from __future__ import annotations

import errno
import filecmp
import os
import shutil
import stat
from contextlib import suppress
from pathlib import Path

from tritonforge.manifest import MANIFEST
from tritonforge.server.repository.folder import CONFIG, config_text, model_folders

__all__ = ["Refresh", "can_link", "changed_models", "forget", "mark", "refresh", "take_snapshot"]

_SMALL = 1 << 16
"""Bytes up to which a file is copied."""

_KEPT = 2
"""How many replaced versions of a model stay in the snapshot: requests under way may still run on them."""

_STAGING = ".staging"

_GONE = ".gone"
"""A file in the snapshot of a model that is to be loaded again: another than any that the repository has."""

_REFUSED = "the_repository_no_longer_has_this_model: true\n"
"""A configuration that Triton refuses to load, with these words in its log."""


def can_link(source: Path, target: Path) -> bool:
    """Tell whether files below one folder can be linked to from another: both are on one file system."""
    return source.stat().st_dev == target.stat().st_dev


def take_snapshot(repository: Path, target: Path) -> Path:
    """Make the tree in a new folder, and give it: the models and the manifest.

    Raises:
        OSError: the file system has no links, the disk is full, …
    """
    target.mkdir(parents=True)
    for folder in model_folders(repository):
        _copy(folder, target / folder.name)
    if (repository / MANIFEST).is_file():
        shutil.copy2(repository / MANIFEST, target / MANIFEST)
        _give_away(target / MANIFEST, (repository / MANIFEST).stat())
    _give_away(target, repository.stat())
    return target


def changed_models(repository: Path, served: Path) -> list[str]:
    """Name the models of which the repository has other files than its snapshot, new ones too; by content."""
    return [
        folder.name
        for folder in model_folders(repository)
        if not (served / folder.name).is_dir() or not _same(folder, served / folder.name)
    ]


def mark(served: Path, model: str) -> None:
    """Have a model of a snapshot count as changed as long as it isn't brought up to date."""
    folder = served / model
    if folder.is_symlink():
        folder.unlink()
    elif folder.is_dir():
        (folder / _GONE).touch()


def forget(served: Path, model: str) -> None:
    """Have a model of a snapshot that the repository no longer has count as changed once it has it again.

    Until then Triton can't load it, be it along with an ensemble. Its other files stay, as requests under way may still
    read them.
    """
    mark(served, model)
    if (folder := served / model).is_dir():
        fresh = folder / f"{_GONE}.new"
        fresh.write_text(_REFUSED)
        fresh.replace(folder / CONFIG)  # what is there may be a link to the repository's


class Refresh:
    """One model brought up to date in a snapshot, until `undo()` or `keep()`."""

    def __init__(self, model: Path, old: Path | None) -> None:
        self._model = model
        self._old = old

    def undo(self) -> None:
        """Put back what was there, as it was."""
        shutil.rmtree(self._model, ignore_errors=True)
        if self._old is not None:
            os.rename(self._old, self._model)

    def keep(self) -> None:
        """Forget what was there, but for versions that requests under way may need."""
        if self._old is not None:
            shutil.rmtree(self._old, ignore_errors=True)


def refresh(repository: Path, served: Path, model: str) -> Refresh:
    """Bring one model of a snapshot up to date with the repository. Its folders are new, so that Triton loads it again.

    Version folders that the repository no longer has stay beside the new ones, where the model's policy is to serve the
    latest version alone: the old version serves until the new one is ready.

    Raises:
        OSError: the repository has no such model, the disk is full, …
    """
    current, staging = served / model, served.parent / _STAGING
    if not (repository / model).is_dir():
        raise FileNotFoundError(errno.ENOENT, "the repository has no such model", str(repository / model))
    fresh, old = staging / f"{model}.new", staging / f"{model}.old"
    for leftover in (fresh, old):
        shutil.rmtree(leftover, ignore_errors=True)
    staging.mkdir(exist_ok=True)
    _copy(repository / model, fresh)
    if current.is_symlink() or fresh.is_symlink() or not current.exists():
        current.unlink(missing_ok=True)
        os.rename(fresh, current)
        return Refresh(current, None)
    for version in _replaced_versions(current, fresh):
        _copy(version, fresh / version.name)
    os.rename(current, old)
    os.rename(fresh, current)
    return Refresh(current, old)


def _replaced_versions(current: Path, fresh: Path) -> list[Path]:
    """List the version folders that may stay though the new tree lacks them, if the model serves its latest alone."""
    if "version_policy" in config_text(fresh):
        return []
    newest = max(map(int, _versions(fresh)), default=0)
    gone = sorted(_versions(current) - _versions(fresh), key=int)
    return [current / version for version in gone if int(version) < newest][-_KEPT:]


def _versions(model: Path) -> set[str]:
    return {path.name for path in model.iterdir() if path.name.isdecimal()}


def _copy(source: Path, target: Path) -> None:
    """Copy a folder: links to large files, links made absolute."""
    if source.is_symlink():
        target.symlink_to(source.resolve())
        return
    target.mkdir()
    with os.scandir(source) as entries:
        for entry in sorted(entries, key=lambda entry: entry.name):
            path = target / entry.name
            if entry.is_symlink():
                # Not to a pipe: Triton would wait for it.
                if entry.is_file() or entry.is_dir() or not os.path.exists(entry.path):
                    path.symlink_to(os.path.realpath(entry.path))
            elif entry.is_dir():
                if entry.name != "__pycache__":
                    _copy(Path(entry.path), path)
            elif entry.is_file():
                _copy_file(entry, path)
    _give_away(target, source.stat())


def _copy_file(entry: os.DirEntry[str], target: Path) -> None:
    if entry.stat().st_size > _SMALL:
        try:
            os.link(entry.path, target)
        except OSError as error:
            # Another's file, in a system that protects those from links; or too many links to it.
            if error.errno not in (errno.EPERM, errno.EMLINK):
                raise
        else:
            return
    shutil.copy2(entry.path, target)
    _give_away(target, entry.stat())


def _give_away(made: Path, source: os.stat_result) -> None:
    """Have those read what was made who can read its source; where that can't be set up, everybody."""
    mode, own = stat.S_IMODE(source.st_mode), os.geteuid()
    if own == 0 and (source.st_uid, source.st_gid) != (0, 0):
        try:
            os.chown(made, source.st_uid, source.st_gid)
        except OSError:  # the root of a container, which may not give to all
            mode |= 0o444
    elif source.st_uid != own:
        mode |= 0o444
    if stat.S_ISDIR(source.st_mode):
        mode |= 0o700 | (0o111 if mode & 0o444 == 0o444 else 0)
    with suppress(OSError):  # a file system without modes
        made.chmod(mode)


def _same(one: Path, other: Path) -> bool:
    """Compare a model's folder with its snapshot, in which replaced versions may have stayed."""
    theirs = {path.relative_to(one): path for path in _files(one)}
    ours = {path.relative_to(other): path for path in _files(other)}
    kept = {path.name for path in _replaced_versions(other, one)}
    if _versions(one) != _versions(other) - kept:
        return False  # one without files, too: an ensemble's
    ours = {path: file for path, file in ours.items() if path.parts[0] not in kept}
    return theirs.keys() == ours.keys() and all(_same_file(theirs[path], ours[path]) for path in theirs)


def _files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts]


def _same_file(one: Path, other: Path) -> bool:
    return os.path.samefile(one, other) or filecmp.cmp(one, other, shallow=False)
