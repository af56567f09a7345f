"""From a repository to a running tritonserver: files, command and environment."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from tritonforge.repository_files import stub_safe
from tritonforge.resources import python_backends
from tritonforge.server import ports
from tritonforge.server.errors import ServerError
from tritonforge.server.guard.workspace import Workspace
from tritonforge.server.installed.backends import assemble_backends, keep_environments_in
from tritonforge.server.installed.installation import Installation, find_tritonserver
from tritonforge.server.installed.libpython import SONAME, choose_libpython
from tritonforge.server.installed.stub_python import make_stub_python
from tritonforge.server.machine import Machine
from tritonforge.server.repository.completion import note_completion, settle_completion
from tritonforge.server.repository.snapshot import can_link, take_snapshot
from tritonforge.server.settings.command import server_command, server_environment
from tritonforge.server.settings.server import PORTS, ServerSettings
from tritonforge.server.settings.writable import needing_room

__all__ = ["local_host", "resolve_ports", "served_folder", "start"]


def start(repository: Path, settings: ServerSettings, *, machine: Machine, workspace: Workspace) -> Path:
    """Launch the server in a workspace; give the repository's path as the server has it: a snapshot where it can be.

    Raises:
        PreflightError: there is no room for its files.
        ServerError: it can't be launched.
    """
    settings = settle_completion(settings, repository)
    served = _with_stubs(served_folder(repository, settings, workspace), workspace)
    note_completion(settings, repository, served)
    named = find_tritonserver(settings.tritonserver) if settings.tritonserver else None
    if named is not None:
        installation, backends, python = named, named.backends, None
        libraries = [named.libraries]
    else:
        with needing_room(workspace.folder.parent):
            installation, backends, libraries = _embedded(machine, workspace)
            python = make_stub_python(workspace.folder / "python", os.environ)
    command = server_command(installation, served, backends, settings=settings, shared_memory=workspace.shared_memory)
    environment = server_environment(os.environ, python=python, libraries=libraries)
    secret = settings.restricted_key.get_secret_value() if settings.restricted_key and settings.restricted else ""
    workspace.launch(
        command,
        environment,
        exit_timeout_s=settings.exit_timeout_s,
        secret=secret,
        log_limit=int(settings.log_limit),
    )
    return served


def _embedded(machine: Machine, workspace: Workspace) -> tuple[Installation, Path, list[Path]]:
    """Put the wheel's server together: its files, its backend directory, the folders of its libraries."""
    libpython, installation = choose_libpython(machine.libpythons), machine.installation
    if libpython is None or installation is None:
        raise ServerError("this machine can't run the embedded server; see preflight()")
    folder = workspace.folder
    backends = assemble_backends(
        folder / "backends", installation, python=".".join(machine.python.split(".")[:2]), ours=python_backends()
    )
    environments = Path(f"/tmp/tf{workspace.token[:8]}")
    if keep_environments_in(environments, backends):
        workspace.own(environments)
    (folder / "lib").mkdir()
    (folder / "lib" / SONAME).symlink_to(libpython.path)
    return installation, backends, [folder / "lib", installation.libraries]


def served_folder(repository: Path, settings: ServerSettings, workspace: Workspace) -> Path:
    """Give the folder that the server is to read: a snapshot, beside the repository if only there it can link.

    Where there can be none, and where the server is to look for changes itself, it is the repository.
    """
    if settings.model_control != "poll":
        with contextlib.suppress(OSError):
            base = workspace.folder
            if not can_link(repository, base):
                base = workspace.own(repository.parent / f".{repository.name}.{workspace.folder.name}")
            return take_snapshot(repository, base / "repository")
    return repository


def _with_stubs(served: Path, workspace: Workspace) -> Path:
    """Give a folder by a path that stubs can be started from."""
    if stub_safe(str(served)):
        return served
    link = workspace.folder / "link"
    link.symlink_to(served)
    return link


def resolve_ports(settings: ServerSettings) -> ServerSettings:
    """Put free ports in the place of those that are 0, and the address in the place of a name.

    Of a name Triton makes 255.255.255.255 (24.10, HTTP and metrics).
    """
    settings = settings.replace(host=ports.address_of(settings.host))
    wanted = [name for name in PORTS if getattr(settings, name) == 0]
    if not wanted:
        return settings
    return settings.replace(**dict(zip(wanted, ports.free_ports(settings.host, len(wanted)), strict=True)))


def local_host(host: str) -> str:
    """Give the address at which this machine reaches a server that listens on `host`."""
    return "127.0.0.1" if host == "0.0.0.0" else host
