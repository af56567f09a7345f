"""Run Triton, and what runs: the embedded server, from a wheel, and servers that others run."""

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
