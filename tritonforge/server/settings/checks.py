"""What settings ask for, held against this machine and the repository: ports, models."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from pathlib import Path

from tritonforge.errors import Diagnostic, Where
from tritonforge.server.ports import LISTEN_ON, bind_error, holder, unknown_host
from tritonforge.server.repository.folder import model_folders
from tritonforge.server.settings.server import PORTS, ServerSettings
from tritonforge.server.state.records import own_ports

__all__ = ["check_cache_size", "check_load_models", "check_ports"]


def check_load_models(repository: Path, settings: ServerSettings) -> list[Diagnostic]:
    """Check that the repository has the models that are to be loaded."""
    there = [folder.name for folder in model_folders(repository)]
    unknown = [name for name in settings.load_models or () if name not in there]
    if not unknown:
        return []
    message = f"the repository has no model {' and no '.join(unknown)}"
    return [Diagnostic("TF501", Where(subject="load_models"), message, f"it has {', '.join(there)}")]


def check_cache_size(settings: ServerSettings) -> list[Diagnostic]:
    """Check that the response cache, which Triton takes whole at its start, is within this machine's memory.

    Where it isn't, Triton 24.10 stays up without a word and serves nothing.
    """
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    if settings.cache_size <= memory:
        return []
    from tritonforge.server.repository.shared_memory import size_text

    message = f"found {size_text(settings.cache_size)}, and this machine has {size_text(memory)} of memory"
    return [Diagnostic("TF501", Where(subject="cache_size"), message, "make it smaller; 0 is none")]


def check_ports(settings: ServerSettings) -> list[Diagnostic]:
    """Check that the address is this machine's and each port that is asked for can be listened on."""
    if unknown := unknown_host(settings.host):
        return [Diagnostic("TF508", Where(subject=f"host {settings.host}"), unknown, LISTEN_ON)]
    refused = bind_error(settings.host, 0)
    if refused is not None and refused.errno == errno.EADDRNOTAVAIL:
        where = Where(subject=f"host {settings.host}")
        hint = "listen on 127.0.0.1 (this machine only), 0.0.0.0 (everywhere), or an address that `hostname -I` shows"
        return [Diagnostic("TF508", where, "is no address of this machine", hint)]
    wanted = [field for field in PORTS if field != "metrics_port" or settings.metrics]
    return [diagnostic for field in wanted for diagnostic in _check_port(field, settings)]


def _check_port(field: str, settings: ServerSettings) -> Iterator[Diagnostic]:
    port = getattr(settings, field)
    error = bind_error(settings.host, port)
    if error is None:
        return
    flag, variable = f"--{field.replace('_', '-')}", f"TRITONFORGE_{field.upper()}"
    taken = error.errno == errno.EADDRINUSE
    own = own_ports().get(port) if taken else None
    found = f"can't be listened on at {settings.host}: {error.strerror}"
    if taken:
        found = f"is taken by {f'your server {own}' if own else holder(port)}"
    where = Where(subject=f"port {port} ({field.removesuffix('_port')})")
    hint = f"choose another with {flag} or {variable} (0 takes a free one)"
    yield Diagnostic("TF508", where, found, f"{hint}, or end that one: tritonforge down {own}" if own else hint)
