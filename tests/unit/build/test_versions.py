"""Versions by content, the difference that `--check` shows, and what may be in the output folder."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from projects import Project, scale, tree

PIPELINE = """
@pipeline
def both(x: Float32[np.ndarray, "batch 4"]) -> Float32[np.ndarray, "batch 4"]:
    return two(one(x))
"""


@pytest.fixture
def built(project: Project) -> Project:
    project.write(
        {"serving.py": "import helper\n" + scale("one") + PIPELINE.replace("two(one(x))", "one(x)"), "helper.py": ""}
    )
    project.write({"other.py": scale("two", 3)})
    project.build("serving.py", "other.py")
    return project


def build(project: Project) -> dict[str, tuple[int, str]]:
    report = project.build("serving.py", "other.py")
    return {model.name: (model.version, model.change) for model in report.models}


def test_everything_begins_with_version_1(built: Project) -> None:
    assert built.versions() == {"both": 1, "one": 1, "two": 1}


def test_an_unchanged_model_keeps_its_version(built: Project) -> None:
    before = tree(built.output)
    assert build(built) == dict.fromkeys(("both", "one", "two"), (1, "unchanged"))
    assert tree(built.output) == before


def test_a_changed_model_gets_the_next_and_its_old_folder_is_gone(built: Project) -> None:
    built.write({"other.py": scale("two", 4)})
    assert build(built) == {"both": (1, "unchanged"), "one": (1, "unchanged"), "two": (2, "changed")}
    assert sorted(path.name for path in (built.output / "two").iterdir()) == ["2", "config.pbtxt"]
    built.write({"other.py": scale("two", 3)})
    assert build(built)["two"] == (3, "changed")


def test_a_module_that_travels_changes_its_models(built: Project) -> None:
    built.write({"helper.py": "FACTOR = 1"})
    assert build(built) == {"both": (1, "unchanged"), "one": (2, "changed"), "two": (1, "unchanged")}


def test_a_setting_changes_a_model(built: Project) -> None:
    built.write({"other.py": scale("two", 3).replace("@model", "@model(batching=Batching(max_batch_size=2))")})
    assert build(built)["two"] == (2, "changed")


def test_a_pipeline_changes_with_its_steps_and_not_with_its_models(built: Project) -> None:
    serving = (built.root / "serving.py").read_text()
    built.write({"serving.py": serving.replace("return one(x)", "return one(one(x))")})
    assert build(built)["both"] == (2, "changed")


def test_models_come_and_go(built: Project) -> None:
    built.write({"other.py": scale("three")})
    assert build(built) == {"both": (1, "unchanged"), "one": (1, "unchanged"), "three": (1, "new")}
    assert not (built.output / "two").exists()


def test_lines_that_move_change_nothing_but_the_copy(built: Project) -> None:
    built.write({"other.py": "# a comment\n" + (built.root / "other.py").read_text()})
    assert build(built)["two"] == (2, "changed")  # the copied file is another one


# --- what `--check` says


def test_an_up_to_date_repository_has_no_difference(built: Project) -> None:
    assert built.check("serving.py", "other.py") == ""


def test_caches_of_python_are_no_difference(built: Project) -> None:
    cache = built.output / "one" / "1" / "__pycache__"
    cache.mkdir()
    (cache / "model.cpython-311.pyc").write_bytes(b"")
    assert built.check("serving.py", "other.py") == ""
    built.build("serving.py", "other.py")
    assert not cache.exists()


def test_a_changed_source_is_shown_as_a_unified_difference(built: Project) -> None:
    before = tree(built.output)
    built.write({"other.py": scale("two", 4)})
    difference = built.check("serving.py", "other.py")
    first, rest = difference.split("\n", 1)
    assert first == "two gets version 2 in the place of 1; the folders two/1 and two/2 differ in:"
    assert [line for line in rest.splitlines() if line.startswith(("---", "+++"))] == [
        "--- a/tritonforge.json",
        "+++ b/tritonforge.json",
        "--- a/two/1/source/other.py",
        "+++ b/two/2/source/other.py",
    ]
    changed = [line for line in rest.splitlines() if line[:1] in "+-" and "hash" not in line]
    assert len(changed) == 10, "of the manifest the version and one file's digest, of the source one line"
    assert {'-      "version": 1', '+      "version": 2'} <= set(difference.splitlines())
    assert tree(built.output) == before


def test_a_file_that_was_edited_in_the_repository_is_shown(built: Project) -> None:
    config = built.output / "one" / "config.pbtxt"
    config.write_text(config.read_text().replace("max_batch_size: 64", "max_batch_size: 8"))
    assert built.check("serving.py", "other.py").splitlines()[:2] == [
        "--- a/one/config.pbtxt",
        "+++ b/one/config.pbtxt",
    ]
    assert "-max_batch_size: 8\n+max_batch_size: 64\n" in built.check("serving.py", "other.py")


def test_a_file_that_is_missing_in_the_repository_is_shown(built: Project) -> None:
    (built.output / "both" / "1" / ".gitkeep").unlink()
    assert built.check("serving.py", "other.py") == "Empty file /dev/null is now b/both/1/.gitkeep\n"


def test_everything_is_missing_where_nothing_was_built(project: Project) -> None:
    project.write({"serving.py": scale()})
    assert "--- /dev/null\n+++ b/tritonforge.json\n" in project.check()
    assert not project.output.exists()


def test_binary_files_only_differ(project: Project) -> None:
    project.write({"serving.py": 'W = asset("w.bin")\n' + scale(), "w.bin": b"\xff\x00"})
    project.build()
    (project.output / "scale/1/source/w.bin").write_bytes(b"\xfe")
    assert project.check() == "Binary files a/scale/1/source/w.bin and b/scale/1/source/w.bin differ\n"


def test_text_without_a_last_newline_is_shown_line_by_line(project: Project) -> None:
    project.write({"serving.py": 'W = asset("w.txt")\n' + scale(), "w.txt": "a\nb"})
    project.build()
    (project.output / "scale/1/source/w.txt").write_text("a\nc")
    assert project.check().splitlines()[-4:] == [
        "-c",
        "\\ No newline at end of file",
        "+b",
        "\\ No newline at end of file",
    ]


# --- what may be in the output folder


def test_a_folder_with_strange_files_is_refused_and_left_as_it_is(project: Project) -> None:
    project.write({"serving.py": scale(), "model_repository/mine/notes.txt": "precious", "model_repository/a": ""})
    before = tree(project.output)
    message = project.refused()
    assert message.startswith("model_repository: it holds files that no build has written: a, mine/notes.txt\n")
    assert "[TF401]" in message
    assert tree(project.output) == before


def test_a_strange_file_in_an_earlier_build_is_refused_too(project: Project) -> None:
    project.write({"serving.py": scale()})
    project.build()
    for index in range(5):
        project.write({f"model_repository/scale/1/notes{index}": "precious"})
    assert "scale/1/notes0, scale/1/notes1, scale/1/notes2 and 2 more" in project.refused()


def test_an_empty_folder_is_taken(project: Project) -> None:
    project.write({"serving.py": scale()})
    project.output.mkdir()
    project.build()
    assert project.versions() == {"scale": 1}


def test_a_file_in_the_place_of_the_folder_is_refused(project: Project) -> None:
    project.write({"serving.py": scale(), "model_repository": "precious"})
    assert "model_repository: it is a file" in project.refused()
    assert project.output.read_text() == "precious"


@pytest.mark.parametrize(
    "manifest",
    ["", "{", "[]", '{"schema": 99}', '{"schema": 1, "models": []}', '{"schema": 1, "models": {"a": {}}}', "\udcff"],
)
def test_a_manifest_that_no_build_has_written_is_refused(project: Project, manifest: str) -> None:
    project.write({"serving.py": scale()})
    project.build()
    (project.output / "tritonforge.json").write_bytes(manifest.encode(errors="surrogateescape"))
    before = tree(project.output)
    message = project.refused()
    assert "[TF512]" in message
    assert "remove model_repository and build it again" in message
    assert tree(project.output) == before


def test_a_manifest_with_the_marks_of_a_merge_conflict_has_a_mend_that_works(project: Project) -> None:
    project.write({"serving.py": scale()})
    project.build()
    file = project.output / "tritonforge.json"
    whole = file.read_text()
    file.write_text(whole.replace('  "models"', '<<<<<<< HEAD\n  "models"', 1))
    message = project.refused()
    assert "has the marks of a merge conflict in it" in message
    assert "take the folder whole of one side (rm -r model_repository; git checkout HEAD -- model_repo" in message
    shutil.rmtree(project.output)  # the other mend
    project.build()
    assert file.read_text() == whole


def test_what_file_managers_leave_is_passed_over(project: Project) -> None:
    project.write({"serving.py": 'FOLDER = asset("data")\n' + scale(), "data/one.txt": "1"})
    project.build()
    for name in ("data/.DS_Store", "model_repository/.DS_Store", "model_repository/scale/Thumbs.db"):
        (project.root / name).touch()
    assert project.check() == ""
    (model,) = project.build().models
    assert model.change == "unchanged"


def test_a_file_that_was_edited_by_hand_is_restored(project: Project) -> None:
    project.write({"serving.py": scale("one") + scale("two") + scale("three")})
    project.build()
    before = tree(project.output)
    (project.output / "one" / "config.pbtxt").write_text("edited\n")
    (project.output / "two" / "1" / "source" / "serving.py").unlink()
    report = project.build()
    changes = {model.name: model.change for model in report.models}
    assert changes == {"one": "restored", "two": "restored", "three": "unchanged"}
    assert tree(project.output) == before


def test_another_target_is_in_the_manifest_only(project: Project) -> None:
    from tritonforge.build import build as build_repository

    project.write({"serving.py": scale()})
    project.build()
    before = tree(project.output)
    build_repository([project.root / "serving.py"], project.output, target="25.01")
    after = tree(project.output)
    assert json.loads(after.pop("tritonforge.json"))["target"] == "25.01"
    assert after.items() <= before.items()


@pytest.mark.parametrize("target", ["", "24", "2.51.0", "24.10-py3", "latest"])
def test_a_target_that_is_no_release_is_refused(project: Project, target: str) -> None:
    from tritonforge.build import build as build_repository
    from tritonforge.errors import DiagnosticError

    project.write({"serving.py": scale()})
    with pytest.raises(DiagnosticError, match="it is not a Triton release"):
        build_repository([project.root / "serving.py"], project.output, target=target)


def test_a_repository_that_was_moved_is_built_upon(built: Project) -> None:
    moved = built.root / "elsewhere" / "repository"
    moved.parent.mkdir()
    shutil.move(built.output, moved)
    report = built.build("serving.py", "other.py", output=moved)
    assert {model.change for model in report.models} == {"unchanged"}
    assert isinstance(moved, Path)


def test_the_manifest_hashes_every_file(built: Project) -> None:
    import hashlib

    for name, model in built.manifest().items():
        files: dict[str, Any] = model["files"]
        found = tree(built.output / name)
        assert files == {path: hashlib.sha256(content).hexdigest() for path, content in found.items()}


def test_versions_that_a_policy_names_and_no_build_keeps_are_warned_of(project: Project) -> None:
    policy = "@model(version_policy=VersionPolicy(specific=(1, 3)))"
    head = "import numpy as np\nfrom jaxtyping import Float32\nfrom tritonforge import VersionPolicy, model\n"
    project.write({"serving.py": head + scale().replace("@model", policy)})
    (warning,) = project.build().warnings
    assert (warning.code, warning.severity, warning.where.line) == ("TF613", "warning", 5)
    assert "3" in warning.message
