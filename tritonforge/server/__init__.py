"""Run Triton, and what runs: the embedded server, from a wheel, containers, and servers that others run.

Each of them is imported when it is first used: a start of the embedded server waits for none of the others.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tritonforge.server.asking.health import ModelState
    from tritonforge.server.asking.statistics import ModelStatistics
    from tritonforge.server.asking.status import ModelStatus
    from tritonforge.server.attached import AttachedServer
    from tritonforge.server.docker.server import DockerServer
    from tritonforge.server.docker.settings import DockerSettings
    from tritonforge.server.embedded import EmbeddedServer
    from tritonforge.server.errors import (
        ModelLoadError,
        PreflightError,
        ServerDied,
        ServerError,
        ServerTimeout,
        SettingsError,
    )
    from tritonforge.server.guard.workspace import Workspace
    from tritonforge.server.protocol import Runtime, Server
    from tritonforge.server.settings.server import ServerSettings

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
    "DockerServer": "docker.server",
    "DockerSettings": "docker.settings",
    "EmbeddedServer": "embedded",
    "ModelLoadError": "errors",
    "ModelState": "asking.health",
    "ModelStatistics": "asking.statistics",
    "ModelStatus": "asking.status",
    "PreflightError": "errors",
    "Runtime": "protocol",
    "Server": "protocol",
    "ServerDied": "errors",
    "ServerError": "errors",
    "ServerSettings": "settings.server",
    "ServerTimeout": "errors",
    "SettingsError": "errors",
    "Workspace": "guard.workspace",
}


def __getattr__(name: str) -> Any:
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_LATER[name]}"), name)


def __dir__() -> list[str]:
    return __all__
