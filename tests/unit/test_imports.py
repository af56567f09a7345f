"""Who may import what, and what may not be imported at start."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
HEAVY = {"docker", "grpc", "numpy", "onnx", "onnxruntime", "pydantic", "sklearn", "torch", "tritonclient"}


def imported(file: Path) -> Iterator[str]:
    """List the modules that a file imports anywhere in it, by their full names."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def importers(folder: str, module: str) -> set[str]:
    """Name the files below a folder that import a module or something in it."""
    return {
        file.relative_to(ROOT).as_posix()
        for file in (ROOT / folder).rglob("*.py")
        if any(name == module or name.startswith(f"{module}.") for name in imported(file))
    }


def loaded_by(code: str) -> set[str]:
    """Run a line of Python in a fresh interpreter and name the top-level modules that are loaded after it."""
    report = "import json, sys; print(json.dumps(sorted({name.partition('.')[0] for name in sys.modules})))"
    result = subprocess.run(
        [sys.executable, "-c", f"{code}\n{report}"], capture_output=True, text=True, cwd=ROOT, timeout=60, check=False
    )
    assert result.returncode == 0, result.stderr
    return set(json.loads(result.stdout.splitlines()[-1]))


def test_the_import_contract_is_kept() -> None:
    result = subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--config", ROOT / ".importlinter", "--no-cache"],
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=120,
        check=False,
    )
    assert result.returncode == 0, result.stdout + result.stderr


def test_code_that_runs_inside_triton_never_imports_tritonforge() -> None:
    assert importers("python_backends", "tritonforge") == set()


def test_only_pbtxt_knows_the_model_config_message() -> None:
    users = importers("tritonforge", "tritonclient.grpc.model_config_pb2")
    assert users
    assert {Path(user).parts[1] for user in users} <= {"pbtxt", "pbtxt.py"}


@pytest.mark.parametrize("module", ["grpc", "tritonclient.grpc.service_pb2"])
def test_only_the_client_and_load_know_the_wire(module: str) -> None:
    users = importers("tritonforge", module)
    assert "tritonforge/server/asking/grpc_load.py" in users
    users -= {"tritonforge/server/asking/grpc_load.py"}  # a load over HTTP keeps other requests waiting
    assert users
    assert {Path(user).parts[1] for user in users} <= {"client", "load"}


def test_only_the_servers_docker_modules_know_dockers_sdk() -> None:
    users = importers("tritonforge", "docker")
    assert users
    assert all(user.startswith("tritonforge/server/docker") for user in users)


def test_importing_tritonforge_loads_nothing_heavy() -> None:
    assert loaded_by("import tritonforge") & HEAVY == set()


def test_help_loads_nothing_heavy() -> None:
    code = (
        "import contextlib, sys\n"
        "from tritonforge.cli import main\n"
        "sys.argv = ['tritonforge', '--help']\n"
        "with contextlib.suppress(SystemExit):\n"
        "    main()"
    )
    assert loaded_by(code) & HEAVY == set()


def test_starting_an_embedded_server_waits_for_no_wire_format_and_no_docker() -> None:
    """NumPy and gRPC alone take as long to import as everything else that `up` does before it starts the server."""
    code = "import tritonforge.server.embedded; from tritonforge.server import Server, ServerSettings, Workspace"
    assert loaded_by(code) & HEAVY == {"pydantic"}


def test_what_waits_for_a_server_is_not_imported_before_it_starts() -> None:
    assert loaded_by("import tritonforge.server.embedded") & {"http", "ssl"} == set()


def lazy_packages() -> Iterator[str]:
    """Name the packages that import what they offer when it is first asked for."""
    for file in sorted((ROOT / "tritonforge").rglob("__init__.py")):
        if "\ndef __getattr__(" in file.read_text(encoding="utf-8"):
            yield ".".join(file.relative_to(ROOT).parts[:-1])


@pytest.mark.parametrize("package", [*lazy_packages()])
def test_what_is_imported_later_is_listed_all_the_same(package: str) -> None:
    code = f"import {package} as package; assert set(package.__all__) <= set(dir(package)), dir(package)"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, timeout=60, check=True)
