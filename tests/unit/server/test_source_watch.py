"""What counts as a saved source, and what doesn't."""

from __future__ import annotations

import os
from pathlib import Path

from tritonforge.server.watch import SourceWatch

DEFINITIONS = "from tritonforge import model\n"


def watched(folder: Path) -> SourceWatch:
    (folder / "serving.py").write_text(DEFINITIONS)
    (folder / "helper.py").write_text("FACTOR = 1\n")
    return SourceWatch([folder / "serving.py"], folder / "model_repository")


def test_a_save_is_seen_once_by_content(tmp_path: Path) -> None:
    watch = watched(tmp_path)
    assert watch.changed() == []
    (tmp_path / "helper.py").write_text("FACTOR = 2\n")
    assert watch.changed() == [tmp_path / "helper.py"]
    assert watch.changed() == []
    os.utime(tmp_path / "helper.py", (1, 1))
    (tmp_path / "serving.py").write_text(DEFINITIONS)
    assert watch.changed() == []


def test_an_editor_that_replaces_the_file_is_seen_and_what_it_leaves_is_not(tmp_path: Path) -> None:
    watch = watched(tmp_path)
    for leftover in (".serving.py.swp", "serving.py~", "#serving.py#", "4913", "serving.py___jb_tmp___", "notes.md"):
        (tmp_path / leftover).write_text("anything")
    (tmp_path / ".#serving.py").symlink_to("nobody@nowhere")
    for folder in ("__pycache__", ".git", ".venv", "node_modules"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "module.py").write_text("anything")
    assert watch.changed() == []
    (tmp_path / "new").write_text(DEFINITIONS + "# more\n")
    (tmp_path / "new").replace(tmp_path / "serving.py")
    assert watch.changed() == [tmp_path / "serving.py"]


def test_new_and_removed_modules_count_and_everything_does_after_a_failed_build(tmp_path: Path) -> None:
    watch = watched(tmp_path)
    (tmp_path / "other.py").write_text("")
    (tmp_path / "helper.py").unlink()
    assert watch.changed() == [tmp_path / "helper.py", tmp_path / "other.py"]
    watch.follow(everything=True)
    (tmp_path / "labels.txt").write_text("a\nb\n")
    assert watch.changed() == [tmp_path / "labels.txt"]
    watch.follow()
    assert watch.changed() == []
