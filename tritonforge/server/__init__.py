"""Run Triton: the embedded server, from a wheel, with no container."""

from tritonforge.server.embedded import Server
from tritonforge.server.errors import (
    ModelLoadError,
    PreflightError,
    ServerDied,
    ServerError,
    ServerTimeout,
    SettingsError,
)
from tritonforge.server.health import ModelState
from tritonforge.server.settings import ServerSettings
from tritonforge.server.workspace import Workspace

__all__ = [
    "ModelLoadError",
    "ModelState",
    "PreflightError",
    "Server",
    "ServerDied",
    "ServerError",
    "ServerSettings",
    "ServerTimeout",
    "SettingsError",
    "Workspace",
]
