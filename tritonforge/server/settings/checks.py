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

__all__ = ["check_cache_size", "check_load_models", "check_ports", "taken_port"]


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


def taken_port(field: str, settings: ServerSettings, *, elsewhere: bool = False) -> Diagnostic:
    """Say who listens on a port that is asked for, and how to have another; `elsewhere` is another machine's port."""
    port = getattr(settings, field)
    own = None if elsewhere else own_ports().get(port)
    by = "another process of Docker's machine" if elsewhere else f"your server {own}" if own else holder(port)
    hint = f"{_other_port(field)}, or end that one: tritonforge down {own}" if own else _other_port(field)
    return Diagnostic("TF508", _place_of(field, settings), f"is taken by {by}", hint)


def _check_port(field: str, settings: ServerSettings) -> Iterator[Diagnostic]:
    error = bind_error(settings.host, getattr(settings, field))
    if error is None:
        return
    if error.errno == errno.EADDRINUSE:
        yield taken_port(field, settings)
        return
    found = f"can't be listened on at {settings.host}: {error.strerror}"
    yield Diagnostic("TF508", _place_of(field, settings), found, _other_port(field))


def _place_of(field: str, settings: ServerSettings) -> Where:
    return Where(subject=f"port {getattr(settings, field)} ({field.removesuffix('_port')})")


def _other_port(field: str) -> str:
    flag, variable = f"--{field.replace('_', '-')}", f"TRITONFORGE_{field.upper()}"
    return f"choose another with {flag} or {variable} (0 takes a free one)"
