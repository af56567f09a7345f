"""Where the embedded server's files are: the nvidia-pytriton wheel, as installed beside the running Python."""

from __future__ import annotations

import importlib.util
import shutil
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Installation", "find_installation", "find_tritonserver"]


@dataclass(frozen=True, slots=True)
class Installation:
    """The files of tritonserver: `root` holds its bin, backends, caches and stubs; `libraries` what they link."""

    root: Path
    libraries: Path

    @property
    def server(self) -> Path:
        """The server's program."""
        return self.root / "bin" / "tritonserver"

    @property
    def python_backend(self) -> Path:
        """The folder of the Python backend, without a stub."""
        return self.root / "backends" / "python"

    @property
    def caches(self) -> Path:
        """The folder of response cache implementations."""
        return self.root / "caches"

    def stub(self, python: str) -> Path:
        """The program that runs Python models under a Python version (`3.11`); it may not exist."""
        return self.root / "python_backend_stubs" / python / "triton_python_backend_stub"

    def stub_versions(self) -> tuple[str, ...]:
        """List the Python versions that there is a stub for."""
        folder = self.root / "python_backend_stubs"
        versions = [path.name for path in folder.iterdir()] if folder.is_dir() else []
        return tuple(sorted(versions, key=lambda version: [int(part) for part in version.split(".")]))


def find_installation() -> Installation | None:
    """Find the wheel's server without importing it; None if it is not installed, or not whole."""
    spec = importlib.util.find_spec("pytriton")
    for location in (spec.submodule_search_locations or ()) if spec else ():
        package = Path(location)
        found = Installation(package / "tritonserver", package.parent / "nvidia_pytriton.libs")
        if found.server.is_file() and found.python_backend.is_dir():
            return found
    return None


def find_tritonserver(named: str) -> Installation | None:
    """Find a server installed by other means: its program, its folder (`/opt/tritonserver`), or a name on PATH.

    Its backends, caches and libraries lie as in NVIDIA's image. None where there is no such program.
    """
    path = Path(named)
    root = path.absolute() if path.is_dir() else Path(shutil.which(named) or "/").resolve().parent.parent
    found = Installation(root, root / "lib")
    return found if found.server.is_file() else None
