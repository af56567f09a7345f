"""The check of a repository as a whole: targets, order, what it leaves alone."""

from __future__ import annotations

import json
import os
import shutil
import sys
from pathlib import Path

import pytest

from tritonforge.build import build
from tritonforge.check import check_repository
from tritonforge.manifest import find_edits

GENERATED = Path(__file__).resolve().parents[3] / "generated_repo"

CUSTOM = """backend: "custom"
input { name: "x" data_type: TYPE_FP32 dims: [ 1 ] }
output { name: "y" data_type: TYPE_FP32 dims: [ 1 ] }
"""


def write(repository: Path, name: str, config: str = CUSTOM) -> None:
    (repository / name / "1").mkdir(parents=True)
    (repository / name / "config.pbtxt").write_text(config)


@pytest.mark.parametrize(
    ("target", "fields"), [("23.07", ["sequence_batching.iterative_sequence", "runtime"]), ("24.01", [])]
)
def test_fields_are_judged_by_the_target(target: str, fields: list[str], tmp_path: Path) -> None:
    write(tmp_path, "m", f'{CUSTOM}sequence_batching {{ iterative_sequence: true }} runtime: "libtriton_custom.so"')
    found = check_repository(tmp_path, target=target, cores=8).findings
    assert [finding.field for finding in found] == fields
    assert {finding.code for finding in found} <= {"TF604"}


def test_findings_come_by_model_and_line(tmp_path: Path) -> None:
    write(tmp_path, "b", f'{CUSTOM}max_batch_size: -1\nname: "c"\n')
    write(tmp_path, "a", f"{CUSTOM}max_batch_size: -1\n")
    report = check_repository(tmp_path, cores=8)
    assert [(finding.model, finding.line) for finding in report.findings] == [("a", 4), ("b", 4), ("b", 5)]
    assert report.models == ("a", "b")
    assert report.refused == {"a", "b"}


def test_a_manifest_that_up_refuses_is_a_warning(tmp_path: Path) -> None:
    """Triton reads none."""
    write(tmp_path, "m")
    (tmp_path / "tritonforge.json").write_text('{"schema": 99}')
    (finding,) = check_repository(tmp_path).findings
    assert (finding.path, finding.code, finding.severity) == ("tritonforge.json", "TF512", "warning")
    assert "`tritonforge up` and `image` refuse the repository" in finding.message


def test_a_built_model_that_was_edited_is_a_warning(tmp_path: Path) -> None:
    """As built it is none; a large file has to be there, and one that no build wrote is not looked at."""
    shutil.copytree(GENERATED, tmp_path, dirs_exist_ok=True)
    codes = [finding.code for finding in check_repository(tmp_path).findings]
    assert "TF516" not in codes
    model = tmp_path / "normalize"
    (config,) = model.glob("config.pbtxt")
    config.write_text(config.read_text() + "\n# mine\n")
    (model / "notes.txt").touch()
    (found,) = (finding for finding in check_repository(tmp_path).findings if finding.code == "TF516")
    assert (found.model, found.path, found.severity) == ("normalize", "normalize", "warning")
    assert found.message == "differs from what was built: config.pbtxt"
    manifest = json.loads((tmp_path / "tritonforge.json").read_text())
    files = sorted(manifest["models"]["normalize"]["files"])
    with (model / files[0]).open("wb") as large:
        large.truncate((1 << 20) + 1)
    for file in files[1:]:
        (model / file).unlink()
    (found,) = find_edits(tmp_path)
    assert str(found.where) == f"{model} normalize"
    assert found.message == f"differs from what was built: {', '.join(files[1:4])} and {len(files) - 4} more"
    shutil.rmtree(model)
    assert find_edits(tmp_path) == []


def test_a_version_that_no_build_has_written_is_a_warning(tmp_path: Path) -> None:
    """Triton would serve it in place of the one that was built."""
    shutil.copytree(GENERATED, tmp_path, dirs_exist_ok=True)
    model = tmp_path / "normalize"
    shutil.copytree(model / "1", model / "7")
    (found,) = (finding for finding in check_repository(tmp_path).findings if finding.code == "TF516")
    assert (found.model, found.severity) == ("normalize", "warning")
    assert found.message == "has version 7, which no build has written; by default Triton serves the newest, 7"


@pytest.mark.parametrize("lacking", [os.R_OK, os.X_OK])
def test_a_built_model_that_can_not_be_read_is_told_as_that(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lacking: int
) -> None:
    """Not as one whose files are all missing. The system is stood in for: to root nothing is forbidden."""
    shutil.copytree(GENERATED, tmp_path, dirs_exist_ok=True)
    model = tmp_path / "normalize"
    monkeypatch.setattr(os, "access", lambda path, mode: not (Path(path) == model and mode & lacking))
    (found,) = find_edits(tmp_path)
    assert (str(found.where), found.severity) == (f"{model} normalize", "warning")
    assert found.message == "can't be read: Permission denied"
    assert "chmod -R u+rX" in found.hint


def test_golden_samples_that_are_missing_are_told(tmp_path: Path) -> None:
    definitions = (
        "import numpy as np\nfrom jaxtyping import Float32\nfrom tritonforge import model\n\n"
        '@model\ndef same(x: Float32[np.ndarray, "2"]) -> Float32[np.ndarray, "2"]:\n    return x\n'
    )
    (tmp_path / "models.py").write_text(definitions)
    repository = tmp_path / "repository"
    build([tmp_path / "models.py"], repository, golden=1)
    assert check_repository(repository).findings == ()
    (repository / "same.golden.npz").unlink()
    (found,) = check_repository(repository).findings
    assert (found.model, found.path, found.code, found.severity) == ("same", "same.golden.npz", "TF516", "warning")
    assert found.message.startswith("its golden samples are missing: same.golden.npz")


def test_a_configuration_without_an_end_is_not_read(tmp_path: Path) -> None:
    """A pipe would be waited for."""
    for name in ("pipe", "zeros"):
        (tmp_path / name / "1").mkdir(parents=True)
    os.mkfifo(tmp_path / "pipe" / "config.pbtxt")
    (tmp_path / "zeros" / "config.pbtxt").symlink_to("/dev/zero")
    found = check_repository(tmp_path).findings
    assert [(one.path, one.message) for one in found] == [
        (f"{name}/config.pbtxt", "it can't be read: it is not a regular file") for name in ("pipe", "zeros")
    ]


def test_files_beside_the_models_are_left_alone(tmp_path: Path) -> None:
    write(tmp_path, "m")
    (tmp_path / "README.md").touch()
    (tmp_path / "m" / "notes").mkdir()
    assert check_repository(tmp_path, cores=8).findings == ()


def test_a_model_given_for_a_repository(tmp_path: Path) -> None:
    write(tmp_path, "m")
    (finding,) = check_repository(tmp_path / "m").findings
    assert (finding.message, finding.hint) == ("the folder is itself a model", f"give its parent, {tmp_path}")


def test_a_configuration_that_is_no_text(tmp_path: Path) -> None:
    write(tmp_path, "m")
    (tmp_path / "m" / "config.pbtxt").write_bytes(b"\xff\xfe")
    (finding,) = check_repository(tmp_path).findings
    assert (finding.code, finding.path) == ("TF600", "m/config.pbtxt")


@pytest.mark.parametrize(("code", "line"), [("x = 1\ndef x(:\n", 2), ("x = '\0'", 0)])
def test_code_that_this_python_cannot_read_is_a_warning_at_its_line(code: str, line: int, tmp_path: Path) -> None:
    """The server's Python may be a newer one."""
    write(tmp_path, "m", CUSTOM.replace("custom", "python"))
    (tmp_path / "m" / "1" / "model.py").write_text(code)
    (finding,) = check_repository(tmp_path).findings
    assert (finding.code, finding.severity, finding.path) == ("TF681", "warning", "m/1/model.py")
    assert finding.line in (line, 1)  # 3.12 says where a null byte is, too
    assert finding.message.startswith(f"Python {sys.version_info.major}.{sys.version_info.minor}.")


def test_what_python_warns_of_in_code_is_no_mistake(tmp_path: Path) -> None:
    write(tmp_path, "m", CUSTOM.replace("custom", "python"))
    (tmp_path / "m" / "1" / "model.py").write_text('class TritonPythonModel:\n    execute = "\\d"\n')
    assert check_repository(tmp_path).findings == ()
