"""Facts about this machine that go beyond what a server can't start without: disk, memory, GPUs, Docker, runners."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tritonforge.server.errors import ServerError
from tritonforge.server.machine import installed_version
from tritonforge.server.settings.writable import why_unwritable
from tritonforge.server.state.records import own_ports, servers_folder

__all__ = ["Docker", "Gpus", "Surroundings", "find_gpus", "look_around"]

RUNNERS = ("onnxruntime", "torch")
"""The libraries that the stand-ins for Triton's native backends run on."""

_NVIDIA, _DISPLAY = "0x10de", "0x03"
_PATIENCE_S = 15.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Gpus:
    """NVIDIA's GPUs: `present` counts those on the bus, `usable` names those that the driver gives.

    `problem` is what nvidia-smi said instead, where there is a GPU or a driver; `driver` its version.
    """

    present: int = 0
    usable: tuple[str, ...] = ()
    driver: str = ""
    problem: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Docker:
    """A Docker daemon: its version, whether it can give containers GPUs; or the problem of reaching one."""

    version: str = ""
    gpus: bool = False
    problem: str = ""
    hint: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """Facts, unjudged. Sizes are in bytes, by folder; `libraries` are the runners' versions, empty if absent.

    `own_ports` are those of servers that `up` keeps for this user, each with the server's name; `state` is the folder
    of its records, and `state_problem` what keeps that from being made or written to.
    """

    free_bytes: Mapping[Path, int] = field(default_factory=dict)
    memory_bytes: int = 0
    gpus: Gpus = Gpus()
    docker: Docker = Docker()
    libraries: Mapping[str, str] = field(default_factory=dict)
    own_ports: Mapping[int, str] = field(default_factory=dict)
    state: Path = Path()
    state_problem: OSError | None = None


def look_around() -> Surroundings:
    """Look at this machine, beyond what a server can't start without."""
    folders = dict.fromkeys((Path.cwd(), Path(tempfile.gettempdir())))
    return Surroundings(
        free_bytes={folder: shutil.disk_usage(folder).free for folder in folders},
        memory_bytes=_available_memory(),
        gpus=find_gpus(),
        docker=_docker(),
        libraries={name: installed_version(name) for name in RUNNERS},
        own_ports=own_ports(),
        state=servers_folder(),
        state_problem=why_unwritable(servers_folder()),
    )


def find_gpus(bus: Path = Path("/sys/bus/pci/devices"), driver: Path = Path("/proc/driver/nvidia")) -> Gpus:
    """Count NVIDIA's GPUs on the bus, and ask nvidia-smi, where it is, which of them can be used."""
    present = sum(
        _read(device / "vendor") == _NVIDIA and _read(device / "class").startswith(_DISPLAY)
        for device in (bus.iterdir() if bus.is_dir() else ())
    )
    program = shutil.which("nvidia-smi")
    if program is None:
        return Gpus(present=present, problem="there is no nvidia-smi" if present or driver.exists() else "")
    command = [program, "--query-gpu=name,driver_version", "--format=csv,noheader"]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, timeout=_PATIENCE_S, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        return Gpus(present=present, problem=f"nvidia-smi: {error}")
    if answer.returncode:
        said = (answer.stdout or answer.stderr).strip().splitlines()
        return Gpus(present=present, problem=f"nvidia-smi: {said[0] if said else f'exit code {answer.returncode}'}")
    rows = [[part.strip() for part in line.split(",")] for line in answer.stdout.splitlines() if "," in line]
    return Gpus(
        present=max(present, len(rows)), usable=tuple(row[0] for row in rows), driver=rows[0][1] if rows else ""
    )


def _docker() -> Docker:
    """Ask the Docker daemon for its version and runtimes."""
    from tritonforge.server.docker.client import connect

    try:
        client = connect()
    except ServerError as error:
        first = getattr(error, "diagnostics", ())[:1]
        return Docker(problem=first[0].message if first else str(error), hint=first[0].hint if first else "")
    try:
        info = client.info()
    finally:
        client.close()
    devices = [str(device.get("ID", "")) for device in info.get("DiscoveredDevices") or ()]
    gpus = "nvidia" in (info.get("Runtimes") or {}) or any("nvidia" in device for device in devices)
    return Docker(version=str(info.get("ServerVersion", "")), gpus=gpus)


def _available_memory() -> int:
    """Read how much memory new processes can have without swapping; 0 where the system doesn't tell."""
    for line in _read(Path("/proc/meminfo")).splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) << 10
    return 0


def _read(file: Path) -> str:
    try:
        return file.read_text().strip() if os.access(file, os.R_OK) else ""
    except OSError:
        return ""
