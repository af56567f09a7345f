"""What is said of a manifest that no build has written."""

from __future__ import annotations

import json
import os
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tritonforge.client.stubs import read_repository
from tritonforge.manifest import InvalidManifest
from tritonforge.samples import golden_of
from tritonforge.server import PreflightError, ServerSettings
from tritonforge.server.preflight import preflight
from tritonforge.server.repository.manifest import (
    built_models,
    check_environments,
    check_manifest,
    read_requirements,
    read_target,
)

GENERATED = Path(__file__).resolve().parents[3] / "generated_repo"
SIGNATURE: dict[str, Any] = {"batched": True, "inputs": [], "outputs": []}
WHOLE = {"version": 1, "kind": "onnx", "signature": SIGNATURE}


def test_no_manifest_and_a_builds_own_are_fine(tmp_path: Path) -> None:
    assert check_manifest(tmp_path) == []
    assert check_manifest(GENERATED) == []


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "is not JSON: Expecting value"),
        ("{", "is not JSON"),
        ("[]", "is not a manifest that a build has written: it has no schema"),
        ({"name": "another tool's"}, "it has no schema"),
        ({"schema": 99, "models": {}}, "is of schema 99, and this tritonforge reads schema 1"),
        ({"schema": 1}, "it has no models"),
        ({"schema": 1, "models": {"m": {}}}, "its model m is incomplete"),
        ({"schema": 1, "models": {"m": {"version": 1, "kind": "onnx", "signature": []}}}, "its model m is incomplete"),
        ({"schema": 1, "models": {"../m": {}}}, "names a path that leaves the repository: ../m"),
        ({"schema": 1, "models": {"m": {"sources": {"1/../../x": "a"}}}}, "leaves the repository: 1/../../x"),
        ({"schema": 1, "models": {"m": {"sources": {"/etc/passwd": "a"}}}}, "leaves the repository: /etc/passwd"),
        ({"schema": 1, "models": {"m": {"files": {"../../x": "hash"}}}}, "leaves the repository: ../../x"),
        ({"schema": 1, "models": {"m": {"golden": {"file": "../m.npz"}}}}, "leaves the repository: ../m.npz"),
        *(
            ({"schema": 1, "models": {"m": {**WHOLE, field: value}}}, "its model m is incomplete")
            for field, value in {
                "sources": 1,
                "kind": 7,
                "version": "x",
                "golden": {"file": "m.npz"},
                "environment": "3.11",
                "requirements": "six",
                "signature": {**SIGNATURE, "inputs": [{"name": "x", "datatype": "FP32", "dims": [{}]}]},
            }.items()
        ),
        ({"schema": 1, "models": {"m": {**WHOLE, "golden": {"file": "a\0b"}}}}, "what can't be a path: 'a\\x00b'"),
        ({"schema": 1, "models": {"m": {**WHOLE, "golden": {"file": "a" * 5000}}}}, "what can't be a path: 'aaa"),
        ({"schema": 1, "models": {"\ud800": WHOLE}}, "what can't be a path: '\\ud800'"),
        ("[" * 100_000, "is not JSON: "),
    ],
)
def test_a_manifest_that_is_none_stops_the_start(content: Any, message: str, tmp_path: Path) -> None:
    (tmp_path / "echo" / "1").mkdir(parents=True)
    (tmp_path / "tritonforge.json").write_text(content if isinstance(content, str) else json.dumps(content))
    with pytest.raises(PreflightError) as caught:
        preflight(tmp_path, ServerSettings(http_port=0, grpc_port=0, metrics_port=0))
    (found,) = caught.value.diagnostics
    assert found.code == "TF512"
    assert message in found.message
    assert str(found.where).endswith("tritonforge.json")
    for read in (read_target, read_requirements, read_repository, partial(golden_of, model="m")):
        with pytest.raises(InvalidManifest) as refused:
            read(tmp_path)
        assert refused.value.diagnostics == (found,)
    assert built_models(tmp_path) == set()


def test_a_manifest_without_an_end_stops_the_start(tmp_path: Path) -> None:
    """A pipe would be waited for."""
    for make in (os.mkfifo, partial(os.symlink, "/dev/zero")):
        make(tmp_path / "tritonforge.json")
        (found,) = check_manifest(tmp_path)
        assert (found.code, found.message) == ("TF512", "can't be read: it is not a regular file")
        (tmp_path / "tritonforge.json").unlink()


def test_an_environment_for_another_python_is_refused(tmp_path: Path) -> None:
    manifest = json.loads((GENERATED / "tritonforge.json").read_text())
    manifest["models"]["normalize"]["environment"] = {"python": "3.9"}
    (tmp_path / "tritonforge.json").write_text(json.dumps(manifest))
    assert check_environments(tmp_path, "3.9") == []
    (found,) = check_environments(tmp_path, "3.11")
    assert found.code == "TF513"
    assert found.where.subject == "normalize"
    assert found.message == "its environment is made for CPython 3.9, and the server runs 3.11"


def test_what_an_image_needs_is_read_of_the_manifest(tmp_path: Path) -> None:
    """A repository without a manifest needs nothing, and is taken to be for the embedded server's release."""
    assert (read_target(tmp_path), read_requirements(tmp_path)) == ("24.10", ())
    manifest = json.loads((GENERATED / "tritonforge.json").read_text())
    manifest["target"] = "25.01"
    manifest["models"]["normalize"]["requirements"] = ["pandas"]
    (tmp_path / "tritonforge.json").write_text(json.dumps(manifest))
    assert (read_target(tmp_path), read_requirements(tmp_path)) == ("25.01", ("pandas",))
