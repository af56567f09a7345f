"""The server's command line, environment and backend directory."""

from __future__ import annotations

from pathlib import Path

import pytest

from tritonforge.server import ServerSettings
from tritonforge.server.backends import assemble_backends
from tritonforge.server.command import served_ports, server_command, server_environment
from tritonforge.server.installation import Installation, find_installation


@pytest.fixture
def installation() -> Installation:
    found = find_installation()
    assert found is not None
    return found


def test_the_users_flags_come_last(installation: Installation) -> None:
    """Triton takes the last of several."""
    settings = ServerSettings(extra_args=("--log-info=false",), exit_timeout_s=0.5)
    command = server_command(installation, Path("/models"), Path("/backends"), settings=settings, shared_memory="mine-")
    assert command[-1] == "--log-info=false"
    assert "--exit-timeout-secs=1" in command
    assert "--backend-config=python,shm-region-prefix-name=mine-" in command


def test_the_environment_leads_with_ours_and_keeps_the_rest() -> None:
    """What was passed is not changed."""
    base = {"PATH": "/bin", "LD_LIBRARY_PATH": "/cuda", "CUDA_VISIBLE_DEVICES": "1"}
    made = server_environment(base, python=Path("/python/bin"), libraries=[Path("/a"), Path("/b")])
    assert (made["PATH"], made["LD_LIBRARY_PATH"]) == ("/python/bin:/bin", "/a:/b:/cuda")
    assert made["CUDA_VISIBLE_DEVICES"] == "1"
    assert base["PATH"] == "/bin"
    assert server_environment({}, python=Path("/p"), libraries=[Path("/a")])["LD_LIBRARY_PATH"] == "/a"


@pytest.mark.parametrize(
    ("extra_args", "ports"),
    [
        ((), {1, 2, 3}),
        (("--allow-metrics=false",), {1, 2}),
        (("--allow-grpc", "0", "--allow-metrics=False"), {1}),
        (("--allow-metrics=true",), {1, 2, 3}),
    ],
)
def test_services_that_are_off_are_not_waited_for(extra_args: tuple[str, ...], ports: set[int]) -> None:
    """The flags are given with = or as two words."""
    settings = ServerSettings(http_port=1, grpc_port=2, metrics_port=3, extra_args=extra_args)
    assert served_ports(settings) == ports


def test_backends_have_the_runtime_and_no_bytecode(installation: Installation, tmp_path: Path) -> None:
    """A folder without model.py, such as the runtime itself, is no backend."""
    ours = tmp_path / "ours"
    for path in (
        "onnxruntime/model.py",
        "onnxruntime/__pycache__/x.pyc",
        "tritonforge_runtime/__init__.py",
        "docs/x.md",
    ):
        (ours / path).parent.mkdir(parents=True, exist_ok=True)
        (ours / path).touch()
    made = assemble_backends(tmp_path / "made", installation, python="3.11", ours=ours)
    assert sorted(path.name for path in made.iterdir()) == ["onnxruntime", "python"]
    assert sorted(str(path.relative_to(made)) for path in (made / "onnxruntime").rglob("*.py")) == [
        "onnxruntime/model.py",
        "onnxruntime/tritonforge_runtime/__init__.py",
    ]
    assert not list(made.rglob("__pycache__"))
    library = made / "python" / "libtriton_python.so"
    assert library.is_file()
    assert not library.is_symlink()
    assert (made / "python" / "triton_python_backend_stub").resolve() == installation.stub("3.11").resolve()
