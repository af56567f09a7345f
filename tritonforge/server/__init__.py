"""Run Triton, and what runs: the embedded server, from a wheel, containers, and servers that others run.

Each of them is imported when it is first used: a start of the embedded server waits for none of the others.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tritonforge.server.attached import AttachedServer
    from tritonforge.server.docker import DockerServer
    from tritonforge.server.docker_settings import DockerSettings
    from tritonforge.server.embedded import EmbeddedServer
    from tritonforge.server.errors import (
        ModelLoadError,
        PreflightError,
        ServerDied,
        ServerError,
        ServerTimeout,
        SettingsError,
    )
    from tritonforge.server.health import ModelState
    from tritonforge.server.protocol import Runtime, Server
    from tritonforge.server.settings import ServerSettings
    from tritonforge.server.statistics import ModelStatistics
    from tritonforge.server.status import ModelStatus
    from tritonforge.server.workspace import Workspace

__all__ = [
    "AttachedServer",
    "DockerServer",
    "DockerSettings",
    "EmbeddedServer",
    "ModelLoadError",
    "ModelState",
    "ModelStatistics",
    "ModelStatus",
    "PreflightError",
    "Runtime",
    "Server",
    "ServerDied",
    "ServerError",
    "ServerSettings",
    "ServerTimeout",
    "SettingsError",
    "Workspace",
]

_LATER = {
    "AttachedServer": "attached",
    "DockerServer": "docker",
    "DockerSettings": "docker_settings",
    "EmbeddedServer": "embedded",
    "ModelLoadError": "errors",
    "ModelState": "health",
    "ModelStatistics": "statistics",
    "ModelStatus": "status",
    "PreflightError": "errors",
    "Runtime": "protocol",
    "Server": "protocol",
    "ServerDied": "errors",
    "ServerError": "errors",
    "ServerSettings": "settings",
    "ServerTimeout": "errors",
    "SettingsError": "errors",
    "Workspace": "workspace",
}


def __getattr__(name: str) -> Any:
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_LATER[name]}"), name)
