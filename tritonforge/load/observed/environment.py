"""What a measurement was made on: versions, and the machine."""

from __future__ import annotations

import importlib.metadata
import os
import platform
from collections.abc import Mapping
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from tritonforge.load.results import Environment

__all__ = ["describe"]

_PACKAGES = ("tritonforge", "numpy", "uvloop", "tritonclient", "grpcio")


def describe(server: Mapping[str, Any]) -> Environment:
    """Describe this machine and the server that answered."""
    versions = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    versions["server"] = f"{server.get('name', '?')} {server.get('version', '?')}"
    hardware = {
        "cpu": _field("/proc/cpuinfo", "model name") or platform.processor() or "?",
        "cores": str(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()),
        "memory": _field("/proc/meminfo", "MemTotal") or "?",
        "system": platform.platform(),
    }
    return Environment(versions, hardware, datetime.now(timezone.utc).isoformat(timespec="seconds"))


def _field(path: str, name: str) -> str:
    try:
        lines = Path(path).read_text(encoding="utf-8").splitlines()
    except OSError:
        return ""
    return next((line.partition(":")[2].strip() for line in lines if line.startswith(name)), "")
