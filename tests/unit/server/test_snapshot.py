"""The tree of its own that a server reads: what it shares with the repository, and how a model of it is renewed."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from tritonforge.pbtxt import parse
from tritonforge.server.repository.snapshot import changed_models, forget, refresh, take_snapshot

LARGE = b"w" * (1 << 17)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository of one model with a small and a large file."""
    version = tmp_path / "repository" / "m" / "1"
    version.mkdir(parents=True)
    (version.parent / "config.pbtxt").write_text("max_batch_size: 1")
    (version / "model.py").write_text("one")
    (version / "weights.bin").write_bytes(LARGE)
    return tmp_path / "repository"


def names(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def test_large_files_are_shared_and_small_ones_are_not(repository: Path, tmp_path: Path) -> None:
    """What an editor may write to in place is copied; gigabytes are not."""
    served = take_snapshot(repository, tmp_path / "served")
    assert names(served) == ["m/1/model.py", "m/1/weights.bin", "m/config.pbtxt"]
    assert os.path.samefile(served / "m/1/weights.bin", repository / "m/1/weights.bin")
    (repository / "m/1/model.py").write_text("two")
    assert (served / "m/1/model.py").read_text() == "one"
    (repository / "m/1/weights.bin").unlink()
    assert (served / "m/1/weights.bin").read_bytes() == LARGE


def test_what_is_no_file_is_left_out(repository: Path, tmp_path: Path) -> None:
    """Triton would wait for a pipe, behind a link, too."""
    os.mkfifo(repository / "m" / "1" / "pipe")
    (repository / "m" / "1" / "linked").symlink_to("pipe")
    (repository / "m" / "1" / "broken").symlink_to("nothing")
    served = take_snapshot(repository, tmp_path / "served")
    there = sorted(path.name for path in (served / "m" / "1").iterdir())
    assert there == ["broken", "model.py", "weights.bin"]


def test_links_keep_what_they_mean(repository: Path, tmp_path: Path) -> None:
    """A relative link, of a file or of a model, still leads to where it led."""
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "config.pbtxt").write_text("x")
    (repository / "n").symlink_to("../elsewhere")
    (repository / "m" / "1" / "labels.txt").symlink_to("../../../elsewhere/config.pbtxt")
    served = take_snapshot(repository, tmp_path / "deep" / "er" / "served")
    assert (served / "n" / "config.pbtxt").read_text() == "x"
    assert (served / "m" / "1" / "labels.txt").read_text() == "x"


def test_bytecode_and_folders_that_are_no_models_stay_out(repository: Path, tmp_path: Path) -> None:
    """Triton would poll them."""
    (repository / ".git").mkdir()
    (repository / "m" / "1" / "__pycache__").mkdir()
    (repository / "m" / "1" / "__pycache__" / "x.pyc").touch()
    served = take_snapshot(repository, tmp_path / "served")
    assert [path.name for path in served.iterdir()] == ["m"]
    assert not (served / "m" / "1" / "__pycache__").exists()
    assert changed_models(repository, served) == []


def test_a_refresh_keeps_the_old_version_beside_the_new_one(repository: Path, tmp_path: Path) -> None:
    """The old one still serves, and may open its files."""
    served = take_snapshot(repository, tmp_path / "base" / "served")
    (repository / "m" / "1").rename(repository / "m" / "2")
    assert changed_models(repository, served) == ["m"]
    refresh(repository, served, "m").keep()
    assert sorted(path.name for path in (served / "m").iterdir()) == ["1", "2", "config.pbtxt"]
    assert changed_models(repository, served) == []


def test_an_old_version_does_not_stay_where_several_are_served(repository: Path, tmp_path: Path) -> None:
    """Triton would load it again."""
    (repository / "m" / "config.pbtxt").write_text("version_policy: { all {} }")
    served = take_snapshot(repository, tmp_path / "base" / "served")
    (repository / "m" / "1").rename(repository / "m" / "2")
    refresh(repository, served, "m").keep()
    assert sorted(path.name for path in (served / "m").iterdir()) == ["2", "config.pbtxt"]


def test_undo_puts_back_what_was_there(repository: Path, tmp_path: Path) -> None:
    """Times of folders too, by which Triton tells a change."""
    served = take_snapshot(repository, tmp_path / "base" / "served")
    before = {path: (served / path).stat().st_mtime_ns for path in ("m/1", "m/config.pbtxt")}
    (repository / "m" / "1" / "model.py").write_text("broken")
    refresh(repository, served, "m").undo()
    assert (served / "m" / "1" / "model.py").read_text() == "one"
    assert {path: (served / path).stat().st_mtime_ns for path in before} == before


def test_a_new_model_comes_in_and_goes_out_again(repository: Path, tmp_path: Path) -> None:
    """Undone, there is nothing of it."""
    served = take_snapshot(repository, tmp_path / "base" / "served")
    (repository / "n" / "1").mkdir(parents=True)
    assert changed_models(repository, served) == ["n"]
    refresh(repository, served, "n").undo()
    assert not (served / "n").exists()
    with pytest.raises(FileNotFoundError, match="the repository has no such model"):
        refresh(repository, served, "nowhere")


def test_a_model_without_any_version_left_has_changed(repository: Path, tmp_path: Path) -> None:
    served = take_snapshot(repository, tmp_path / "base" / "served")
    shutil.rmtree(repository / "m" / "1")
    assert changed_models(repository, served) == ["m"]


@pytest.mark.parametrize("policy", ["", "version_policy: { all {} }", "version_policy: { latest { num_versions: 2 } }"])
@pytest.mark.parametrize("removed", ["1", "2"])
def test_a_version_that_is_gone_counts_where_it_was_served(
    policy: str, removed: str, repository: Path, tmp_path: Path
) -> None:
    """By default the newest alone is: an older one may stay beside it."""
    (repository / "m" / "config.pbtxt").write_text(policy)
    (repository / "m" / "2").mkdir()
    served = take_snapshot(repository, tmp_path / "base" / "served")
    shutil.rmtree(repository / "m" / removed)
    assert changed_models(repository, served) == (["m"] if policy or removed == "2" else [])
    refresh(repository, served, "m").keep()
    assert changed_models(repository, served) == []


def test_each_refresh_makes_new_version_folders(repository: Path, tmp_path: Path) -> None:
    """Triton loads a model again by the times of its folders, also where nothing else changed."""
    served = take_snapshot(repository, tmp_path / "base" / "served")
    os.utime(served / "m" / "1", (1, 1))
    refresh(repository, served, "m").keep()
    assert (served / "m" / "1").stat().st_mtime > 1


@pytest.mark.parametrize("linked", [False, True])
def test_a_model_that_went_away_has_changed_when_it_comes_back(linked: bool, repository: Path, tmp_path: Path) -> None:
    """Its files are there meanwhile, for requests under way; the user's folder stays as it is."""
    if linked:
        shutil.move(repository / "m", tmp_path / "elsewhere")
        (repository / "m").symlink_to(tmp_path / "elsewhere")
    before = names(repository / "m")
    served = take_snapshot(repository, tmp_path / "served")
    (repository / "m").rename(tmp_path / "away")
    forget(served, "m")
    assert (served / "m" / "1" / "model.py").is_file() != linked
    assert changed_models(repository, served) == []
    (tmp_path / "away").rename(repository / "m")
    assert changed_models(repository, served) == ["m"]
    refresh(repository, served, "m").keep()
    assert changed_models(repository, served) == []
    assert names(repository / "m") == before


def test_a_model_that_is_gone_keeps_its_files_and_none_can_be_loaded(repository: Path, tmp_path: Path) -> None:
    """Also where its configuration is a link to the repository's, which stays as it is."""
    config = "max_batch_size: 1" + " " * len(LARGE)
    (repository / "m" / "config.pbtxt").write_text(config)
    served = take_snapshot(repository, tmp_path / "served")
    forget(served, "m")
    with pytest.raises(ValueError, match="the_repository_no_longer_has_this_model"):
        parse((served / "m" / "config.pbtxt").read_text())
    assert (served / "m" / "1" / "model.py").read_text() == "one"
    assert (repository / "m" / "config.pbtxt").read_text() == config


def test_a_model_that_came_back_and_does_not_load_has_still_changed(repository: Path, tmp_path: Path) -> None:
    served = take_snapshot(repository, tmp_path / "served")
    forget(served, "m")
    refresh(repository, served, "m").undo()
    assert changed_models(repository, served) == ["m"]


def test_who_reads_the_repository_reads_the_tree(repository: Path, tmp_path: Path) -> None:
    """By the same modes, whatever the umask, and a renewed model as well."""
    for folder in (repository, repository / "m", repository / "m" / "1"):
        folder.chmod(0o755)
    (repository / "m/1/model.py").chmod(0o640)
    before = os.umask(0o077)
    try:
        served = take_snapshot(repository, tmp_path / "served")
        (repository / "m/1/model.py").write_text("two")
        refresh(repository, served, "m").keep()
    finally:
        os.umask(before)
    modes = {path.name: path.stat().st_mode & 0o777 for path in (served, *served.rglob("*"))}
    assert {modes[name] for name in ("served", "m", "1")} == {0o755}
    assert modes["model.py"] == 0o640


def test_what_is_anothers_is_open_where_it_cannot_be_given_away(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The tree lies in a folder of the server's user alone; a container runs as the repository's owner."""
    (repository / "m").chmod(0o750)
    (repository / "m/1/model.py").chmod(0o640)
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    served = take_snapshot(repository, tmp_path / "served")
    assert (served / "m").stat().st_mode & 0o777 == 0o755
    assert (served / "m/1/model.py").stat().st_mode & 0o777 == 0o644
