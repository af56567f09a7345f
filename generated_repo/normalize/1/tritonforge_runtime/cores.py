"""How many of the machine's cores a copy of a model may count on, and how it leaves them to others."""

from __future__ import annotations

import json
import math
import os

__all__ = ["available", "leave_while_waiting", "share"]

_QUOTA = "/sys/fs/cgroup/cpu.max"


def available(quota: str = _QUOTA) -> int:
    """Count the cores that this process may use; in a container that has a limit, no more than that."""
    cores = len(os.sched_getaffinity(0))
    try:
        with open(quota, encoding="ascii") as file:
            limit, period = file.read().split()
        return max(1, min(cores, math.ceil(int(limit) / int(period))))
    except (OSError, ValueError):  # no such file, or "max": no limit
        return cores


def leave_while_waiting() -> None:
    """Let the threads of OpenMP sleep while they wait, unless the environment says otherwise.

    By default they spin, and take the cores that the server needs. To be called before what uses OpenMP is imported:
    torch, or scikit-learn.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


def share(model_config: str, cores: int) -> int:
    """Divide the cores among a model's copies: what each may take without taking from another; at least 1."""
    groups = json.loads(model_config).get("instance_group", [])
    copies = sum(int(group.get("count", 1)) for group in groups)
    return max(1, cores // max(1, copies))
