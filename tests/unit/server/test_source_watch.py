"""What counts as a saved source, and what doesn't."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tritonforge.build import build
from tritonforge.errors import DiagnosticError
from tritonforge.server.watching.watch import SourceWatch

DEFINITIONS = "from tritonforge import model\n"


def watched(folder: Path) -> SourceWatch:
    folder.mkdir(exist_ok=True)
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


def test_the_target_of_a_link_counts_as_the_link(tmp_path: Path) -> None:
    watch = watched(tmp_path / "project")
    (tmp_path / "elsewhere.py").write_text("FACTOR = 1\n")
    (tmp_path / "project" / "linked.py").symlink_to(tmp_path / "elsewhere.py")
    assert watch.changed() == [tmp_path / "project" / "linked.py"]
    (tmp_path / "elsewhere.py").write_text("FACTOR = 2\n")
    assert watch.changed() == [tmp_path / "project" / "linked.py"]


def test_an_editor_that_replaces_the_file_is_seen_and_what_it_leaves_is_not(tmp_path: Path) -> None:
    watch = watched(tmp_path)
    for leftover in (".serving.py.swp", "serving.py~", "#serving.py#", "4913", "serving.py___jb_tmp___", "notes.md"):
        (tmp_path / leftover).write_text("anything")
    (tmp_path / ".#serving.py").symlink_to("nobody@nowhere")
    os.mkfifo(tmp_path / "pipe.py")
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
    (tmp_path / "labels.csv").write_text("a\nb\n")
    assert watch.changed() == [tmp_path / "labels.csv"]
    watch.follow()
    assert watch.changed() == []


@pytest.mark.parametrize("name", ["env.txt", "requirements.in"])
def test_requirements_of_an_environment_count(tmp_path: Path, name: str) -> None:
    watch = watched(tmp_path)
    (tmp_path / name).write_text("numpy\n")
    assert watch.changed() == [tmp_path / name]


@pytest.mark.parametrize(
    ("content", "line", "message"),
    [
        ("def broken(:\n", 1, "it can't be imported: SyntaxError: "),
        ("x = 1\n\n  y = 2\n", 3, "it can't be imported: IndentationError: "),
        ("x = 1\0\n", 0, "it can't be imported: "),
        (" \n", 0, "it had definitions before, and is empty now"),
    ],
)
def test_a_file_that_has_lost_its_definitions_by_mistake_is_told(
    content: str, line: int, message: str, tmp_path: Path
) -> None:
    """It no longer names tritonforge, so that a build of the folder would pass over it. It is watched until mended."""
    folder = tmp_path / "serving"
    (folder / "inner").mkdir(parents=True)
    (folder / "other.py").write_text(DEFINITIONS + "@model\ndef other(): ...\n")
    broken = folder / "inner" / "scaling.py"
    broken.write_text(DEFINITIONS + "@model\ndef scaling(): ...\n")
    watch = SourceWatch([folder], tmp_path / "model_repository")
    watch.check()
    broken.write_text(content)
    assert watch.changed() == [broken]
    with pytest.raises(DiagnosticError) as refused:
        watch.check()
    (found,) = refused.value.diagnostics
    assert (found.code, found.where.file) == ("TF101", str(broken))
    assert found.where.line == line or content.count("\0")
    assert found.message.startswith(message)
    watch.follow(everything=True)
    broken.write_text(DEFINITIONS)
    assert watch.changed() == [broken]
    watch.check()


def test_a_file_whose_definitions_were_taken_out_or_that_is_gone_is_fine(tmp_path: Path) -> None:
    """Its models are to go."""
    folder = tmp_path / "serving"
    folder.mkdir()
    for name in ("kept", "emptied", "deleted"):
        (folder / f"{name}.py").write_text(DEFINITIONS + f"@model\ndef {name}(): ...\n")
    watch = SourceWatch([folder], tmp_path / "model_repository")
    (folder / "emptied.py").write_text("FACTOR = 1\n")
    (folder / "deleted.py").unlink()
    watch.check()


def test_files_that_settings_name_count(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").touch()
    (tmp_path / "rows.raw").write_bytes(bytes(8))
    (tmp_path / "serving.py").write_text(
        """
import numpy as np
from jaxtyping import Float32
from tritonforge import Warmup, WarmupInput, model

FIRST = Warmup(name="first", inputs={"x": WarmupInput(data_type="FP32", dims=(2,), data_file="rows.raw")})

@model(warmup=FIRST)
def same(x: Float32[np.ndarray, "batch 2"]) -> Float32[np.ndarray, "batch 2"]:
    return x
"""
    )
    build([tmp_path / "serving.py"], tmp_path / "model_repository")
    watch = SourceWatch([tmp_path / "serving.py"], tmp_path / "model_repository")
    (tmp_path / "rows.raw").write_bytes(bytes(4) + b"more")
    (tmp_path / "other.raw").write_bytes(bytes(8))
    assert watch.changed() == [tmp_path / "rows.raw"]


def test_a_link_whose_target_goes_and_comes_back_is_followed(tmp_path: Path) -> None:
    """Nothing ends the server meanwhile; what can't be read isn't there."""
    folder = tmp_path / "serving"
    target = tmp_path / "elsewhere.py"
    target.write_text("FACTOR = 1\n")
    watched(folder)
    (folder / "linked.py").symlink_to(target)
    watch = SourceWatch([folder], folder / "model_repository")
    target.unlink()
    assert watch.changed() == [folder / "linked.py"]
    watch.check()
    watch.follow(everything=True)
    target.write_text("FACTOR = 2\n")
    assert watch.changed() == [folder / "linked.py"]
