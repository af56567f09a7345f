"""A minimal embedded server for the tests of what runs inside Triton, and the writing of model folders."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import socket
import subprocess
import sys
import sysconfig
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, FileSystemLoader

from tritonforge import resources
from tritonforge.ir import Shim

START_S = 180.0


@dataclass(frozen=True)
class Server:
    """A running server."""

    http: str
    grpc: str
    log: Path

    def reason(self, model: str) -> str:
        """Give why a model isn't ready."""
        request = urllib.request.Request(f"http://{self.http}/v2/repository/index", method="POST")
        with urllib.request.urlopen(request) as answer:
            return {entry["name"]: entry.get("reason", "") for entry in json.load(answer)}[model]


def write_python_model(
    repository: Path, name: str, config: str, source: str, *, attribute: str = "predict", text: tuple[str, ...] = ()
) -> Path:
    """Write a Python model as the build does: shim, runtime, source. Give its version folder."""
    version = write_model(repository, name, f'backend: "python" {config}')
    shutil.copytree(
        resources.python_backends() / "tritonforge_runtime",
        version / "tritonforge_runtime",
        ignore=shutil.ignore_patterns("__pycache__"),
    )
    (version / "source").mkdir()
    (version / "source" / "fraud.py").write_text(source)
    template = Environment(loader=FileSystemLoader(resources.model_templates())).get_template("model.py.j2")
    shim = Shim(module="fraud", attribute=attribute, paths=("source",), text=text, origin="fraud.py")
    (version / "model.py").write_text(template.render(shim=shim))
    return version


def write_model(repository: Path, name: str, config: str | None) -> Path:
    """Write a model's configuration, if it has one, and make its version folder."""
    version = repository / name / "1"
    version.mkdir(parents=True)
    if config is not None:
        (repository / name / "config.pbtxt").write_text(f'name: "{name}" {config}')
    return version


@contextmanager
def serve(repository: Path, scratch: Path) -> Iterator[Server]:
    """Run the embedded server on a repository until the block ends."""
    http, grpc, metrics = _free_ports()
    server = Server(f"127.0.0.1:{http}", f"127.0.0.1:{grpc}", scratch / "server.log")
    packages = _packages()
    command = [
        str(packages / "pytriton/tritonserver/bin/tritonserver"),
        *("--model-repository", str(repository)),
        *("--backend-directory", str(_backends(scratch / "backends"))),
        *(f"--http-port={http}", f"--grpc-port={grpc}", f"--metrics-port={metrics}"),
        *("--http-address=127.0.0.1", "--grpc-address=127.0.0.1"),
        *("--exit-on-error=false", "--strict-readiness=false"),
    ]
    libraries = [sysconfig.get_config_var("LIBDIR"), str(packages / "nvidia_pytriton.libs")]
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "LD_LIBRARY_PATH": ":".join(libraries),
    }
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    with (
        server.log.open("w") as log,
        subprocess.Popen(command, env=environment, stdout=log, stderr=log, cwd=scratch) as process,
    ):
        try:
            _wait(server, process)
            yield server
        finally:
            process.terminate()


def _wait(server: Server, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_S
    while not _is_ready(server):
        if time.monotonic() > deadline or process.poll() is not None:
            raise RuntimeError(f"the server didn't start:\n{server.log.read_text()[-4000:]}")
        time.sleep(0.05)


def _is_ready(server: Server) -> bool:
    try:
        with urllib.request.urlopen(f"http://{server.http}/v2/health/ready"):
            return True
    except (urllib.error.URLError, ConnectionError):
        return False


def _backends(folder: Path) -> Path:
    """Make a backend directory: the wheel's Python backend, and this project's own."""
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    triton = _packages() / "pytriton/tritonserver"
    python = folder / "python"
    shutil.copytree(triton / "backends/python", python)  # copied, as Triton refuses a library that is a link
    shutil.copy(triton / "python_backend_stubs" / version / "triton_python_backend_stub", python)
    shipped = resources.python_backends()
    for name in ("onnxruntime", "pytorch"):
        (folder / name).mkdir()
        for file in [*(shipped / name).glob("*.py"), shipped / "tritonforge_runtime"]:
            (folder / name / file.name).symlink_to(file)
    return folder


def _packages() -> Path:
    found = importlib.util.find_spec("pytriton")
    assert found is not None, "nvidia-pytriton is not installed"
    assert found.origin is not None
    return Path(found.origin).parent.parent


def _free_ports() -> list[int]:
    sockets = [socket.socket() for _ in range(3)]
    for each in sockets:
        each.bind(("127.0.0.1", 0))
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports
