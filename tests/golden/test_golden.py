"""A whole repository, file by file; and what was generated holds by itself: types, style, hashes, copies."""

from __future__ import annotations

import difflib
import hashlib
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from golden_tree import DEFINITIONS, EXPECTED, reviewed
from google.protobuf import text_format
from tritonclient.grpc import model_config_pb2

from tritonforge import pbtxt, resources

ROOT = Path(__file__).resolve().parents[2]


def expected() -> dict[str, bytes]:
    return {path.relative_to(EXPECTED).as_posix(): path.read_bytes() for path in EXPECTED.rglob("*") if path.is_file()}


def test_the_repository_is_as_expected(golden_repository: Path) -> None:
    """Where a change is meant: `python tests/golden/golden_tree.py`, and review the difference."""
    found, wanted = reviewed(golden_repository), expected()
    differences = [
        line
        for name in sorted(found.keys() | wanted.keys())
        if found.get(name) != wanted.get(name)
        for line in difflib.unified_diff(
            wanted.get(name, b"").decode().splitlines(),
            found.get(name, b"").decode().splitlines(),
            f"expected/{name}",
            f"built/{name}",
            lineterm="",
        )
    ]
    assert not differences, "\n".join(differences)
    assert found.keys() == wanted.keys()


def test_copies_are_equal_to_their_originals(golden_repository: Path) -> None:
    models = json.loads((golden_repository / "tritonforge.json").read_bytes())["models"]
    for name, model in models.items():
        for path, original in model.get("sources", {}).items():
            assert (golden_repository / name / path).read_bytes() == (DEFINITIONS / original).read_bytes()
    weights = (DEFINITIONS / "app/data/classifier.onnx").read_bytes()
    assert (golden_repository / "classifier/1/model.onnx").read_bytes() == weights


def test_the_runtime_is_the_one_of_this_checkout(golden_repository: Path) -> None:
    original = resources.python_backends() / "tritonforge_runtime"
    wanted = {path.relative_to(original): path.read_bytes() for path in original.rglob("*.py")}
    copies = sorted(golden_repository.glob("*/1/tritonforge_runtime"))
    assert len(copies) == 12
    for copy in copies:
        assert {path.relative_to(copy): path.read_bytes() for path in copy.rglob("*.*")} == wanted


def test_the_manifest_has_the_hash_of_every_file(golden_repository: Path) -> None:
    models = json.loads((golden_repository / "tritonforge.json").read_bytes())["models"]
    listed = {f"{name}/{path}": digest for name, model in models.items() for path, digest in model["files"].items()}
    files = (path for path in golden_repository.rglob("*") if path.is_file() and path.name != "tritonforge.json")
    assert listed == {
        path.relative_to(golden_repository).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files
    }


@pytest.mark.parametrize("name", sorted(path.parent.name for path in EXPECTED.glob("*/config.pbtxt")))
def test_each_config_is_read_by_protobuf_and_by_us_alike(golden_repository: Path, name: str) -> None:
    text = (golden_repository / name / "config.pbtxt").read_text()
    message = text_format.Parse(text, model_config_pb2.ModelConfig())
    assert message.name == name
    assert pbtxt.to_message(pbtxt.parse(text)) == message


def test_generated_python_passes_the_linter_and_strict_types(golden_repository: Path, tmp_path: Path) -> None:
    """Each model.py as a module of a package, as Triton imports it: `<version>.model`."""
    for path in golden_repository.glob("*/1/model.py"):
        package = tmp_path / path.parts[-3].replace("-", "_").replace(".", "_")
        package.mkdir()
        (package / "__init__.py").touch()
        shutil.copy(path, package)
        (package / "tritonforge_runtime").symlink_to(resources.python_backends() / "tritonforge_runtime")
    shims = sorted(tmp_path.glob("*/model.py"))
    ruff: list[str | Path] = [
        sys.executable,
        "-m",
        "ruff",
        "check",
        "--isolated",
        "--no-cache",
        "--select",
        "E4,E7,E9,F,I,B",
        *shims,
    ]
    mypy: list[str | Path] = [
        sys.executable,
        "-m",
        "mypy",
        "--strict",
        "--no-error-summary",
        f"--cache-dir={ROOT / '.mypy_cache'}",
    ]
    for command in (ruff, [*mypy, "--config-file=", "--follow-imports=silent", *shims]):
        done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, timeout=240, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
