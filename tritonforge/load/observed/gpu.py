"""The GPUs of this machine, by nvidia-smi; nothing where there is none."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Container
from dataclasses import dataclass

__all__ = ["Gpu", "read_gpu"]

_TIMEOUT_S = 10
_UNTOLD = "[N/A]"
"""What nvidia-smi says of a GPU that is cut in parts (MIG), and of memory that the driver doesn't know."""


@dataclass(frozen=True, slots=True)
class Gpu:
    """How busy the GPUs are (their mean; 1.0: always; None: untold), and how much memory some processes hold there."""

    utilization: float | None
    memory_bytes: int


def read_gpu(pids: Container[int]) -> Gpu | None:
    """Ask nvidia-smi: utilization over its last sample (up to a second), memory of the processes named.

    None where there is no nvidia-smi, or none that can be read. In a container it may not name processes: 0 bytes then.
    """
    command = shutil.which("nvidia-smi")
    if command is None:
        return None
    try:
        busy = _ask(command, "--query-gpu=utilization.gpu")
        held = _ask(command, "--query-compute-apps=pid,used_gpu_memory")
        mine = sum(int(row[1]) << 20 for row in held if row[1] != _UNTOLD and int(row[0]) in pids)
        told = [float(row[0]) for row in busy if row[0] != _UNTOLD]
        return Gpu(sum(told) / len(told) / 100 if told else None, mine) if busy else None
    except (OSError, subprocess.SubprocessError, ValueError, IndexError):
        return None


def _ask(command: str, query: str) -> list[list[str]]:
    said = subprocess.run(
        [command, query, "--format=csv,noheader,nounits"],
        capture_output=True,
        text=True,
        timeout=_TIMEOUT_S,
        check=True,
    ).stdout
    return [[cell.strip() for cell in line.split(",")] for line in said.splitlines() if line.strip()]
