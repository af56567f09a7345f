"""Names of files that are reached through links."""

from __future__ import annotations

from pathlib import Path

from tritonforge.define.links import files_below, module_place, named_path


def test_a_path_keeps_the_names_of_links_in_it(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "file").touch()
    (tmp_path / "link").symlink_to("real")
    assert named_path(tmp_path / "link" / "file") == tmp_path / "link" / "file"
    assert named_path(tmp_path / "real" / ".." / "link" / "file") == tmp_path / "link" / "file"


def test_what_lies_above_a_links_target_is_found_there(tmp_path: Path) -> None:
    (tmp_path / "deep" / "er").mkdir(parents=True)
    (tmp_path / "deep" / "file").touch()
    (tmp_path / "link").symlink_to("deep/er")
    assert named_path(tmp_path / "link" / ".." / "file") == tmp_path / "deep" / "file"


def test_a_module_lies_where_its_name_says_below_the_real_root(tmp_path: Path) -> None:
    (tmp_path / "root").symlink_to("real")
    (tmp_path / "real" / "inner").mkdir(parents=True)
    (tmp_path / "real" / "package").symlink_to("inner")
    (tmp_path / "real" / "inner" / "part.py").symlink_to("../other.py")
    (tmp_path / "real" / "other.py").touch()
    place = module_place("package.part", tmp_path / "root" / "package" / "part.py")
    assert place == tmp_path / "real" / "package" / "part.py"
    assert module_place("package", place.with_name("__init__.py")) == place.with_name("__init__.py")


def test_folders_that_are_linked_to_are_walked_once(tmp_path: Path) -> None:
    (tmp_path / "folder" / "__pycache__").mkdir(parents=True)
    (tmp_path / "folder" / "__pycache__" / "left").touch()
    (tmp_path / "folder" / "a").touch()
    (tmp_path / "folder" / "dangling").symlink_to("nowhere")
    (tmp_path / "folder" / "circle").symlink_to(".")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "b").touch()
    (tmp_path / "folder" / "other").symlink_to("../other")
    found = list(files_below(tmp_path / "folder"))
    assert found == [tmp_path / "folder" / "a", tmp_path / "folder" / "other" / "b"]
    assert list(files_below(found[0])) == [found[0]]
