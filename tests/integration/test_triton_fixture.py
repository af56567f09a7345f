"""The fixture `triton` in a user's own suite, run by a pytest of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from repositories import ECHO, write_model

DEFINITIONS = (
    "import numpy as np\nfrom jaxtyping import Float32\nfrom tritonforge import model\n\n@model\n"
    'def halve(x: Float32[np.ndarray, "batch 1"]) -> Float32[np.ndarray, "batch 1"]:\n    return x / 2\n'
)
SUITE = """
import numpy as np
from tritonforge.client import Client

def test_one(triton):
    with Client(triton.http_url) as client:
        assert client.infer("MODEL", x=np.float32([[4]]))

def test_the_server_is_the_same(triton, request):
    assert [model.name for model in triton.models()] == ["MODEL"]
"""


def pytest_in(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pytest", "-q", "-W", "error", "-p", "no:cacheprovider", *arguments]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=120, check=False
    )


def test_it_serves_the_projects_definitions(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text(
        '[tool.tritonforge]\ndefinitions = ["halving.py"]\n[tool.pytest.ini_options]'
    )
    (tmp_path / "halving.py").write_text(DEFINITIONS)
    (tmp_path / "test_users_own.py").write_text(SUITE.replace("MODEL", "halve"))
    result = pytest_in(tmp_path)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "2 passed" in result.stdout
    (tmp_path / "halving.py").write_text("import nothing_of_this_name\n")
    result = pytest_in(tmp_path)
    assert result.returncode == 1
    assert "halving.py:1: it can't be imported" in result.stdout


def test_it_serves_the_repository_that_is_named(tmp_path: Path) -> None:
    write_model(tmp_path / "models", "echo", ECHO)
    (tmp_path / "test_users_own.py").write_text(SUITE.replace("MODEL", "echo"))
    result = pytest_in(tmp_path, "--triton-repository", "models")
    assert result.returncode == 0, result.stdout + result.stderr
    (tmp_path / "pytest.ini").write_text("[pytest]\ntriton_repository = models\n")
    assert pytest_in(tmp_path).returncode == 0


def test_without_anything_to_serve_it_says_what_to_name(tmp_path: Path) -> None:
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    (tmp_path / "test_users_own.py").write_text(SUITE)
    result = pytest_in(tmp_path)
    assert result.returncode == 1
    assert "there is nothing for the fixture triton to serve" in result.stdout


def test_what_keeps_the_server_from_starting_is_all_that_is_said(tmp_path: Path) -> None:
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    (tmp_path / "test_users_own.py").write_text(SUITE)
    result = pytest_in(tmp_path, "--triton-repository", str(tmp_path / "nope"))
    assert result.returncode == 1
    assert "nope: no such file or folder" in result.stdout
    assert "During handling" not in result.stdout


def test_it_costs_a_suite_without_it_nothing() -> None:
    """pytest loads the plugin in every suite of the environment."""
    code = (
        "import sys, tritonforge.pytest_plugin; "
        "print(sorted({'numpy', 'pydantic', 'onnx', 'grpc', 'tritonforge.server'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
