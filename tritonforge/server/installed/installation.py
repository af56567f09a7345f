"""Where the embedded server's files are: the nvidia-pytriton wheel, as installed beside the running Python."""

from __future__ import annotations

import contextlib
import importlib.util
import shutil
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Installation", "find_installation", "find_tritonserver"]


@dataclass(frozen=True, slots=True)
class Installation:
    """The files of tritonserver: `root` holds its bin, backends, caches and stubs; `libraries` what they link.

    `program` is the server's, as seen from `root`.
    """

    root: Path
    libraries: Path
    program: Path = Path("bin/tritonserver")

    @property
    def server(self) -> Path:
        """The server's program."""
        return self.root / self.program

    @property
    def backends(self) -> Path:
        """The folder of the backends."""
        return self.root / "backends"

    @property
    def is_script(self) -> bool:
        """Whether another program is started first, to read the server's as a script."""
        with contextlib.suppress(OSError), self.server.open("rb") as file:
            return file.read(2) == b"#!"
        return False

    @property
    def python_backend(self) -> Path:
        """The folder of the Python backend, without a stub."""
        return self.backends / "python"

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

    Its backends, caches and libraries lie as in NVIDIA's image, beside the folder of the program; of a link, beside
    that of the file that it leads to. None where there is no such program.
    """
    path = Path(named)
    program = shutil.which(path.absolute() / "bin" / "tritonserver" if path.is_dir() else named)
    if program is None:
        return None
    if path.is_dir():
        return Installation(path.absolute(), path.absolute() / "lib")
    file = Path(program).resolve()
    root = file.parent.parent
    return Installation(root, root / "lib", file.relative_to(root))
