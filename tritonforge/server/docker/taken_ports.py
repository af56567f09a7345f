"""Ports that another program holds, told of a container as of the embedded server."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager

from tritonforge.server.errors import PreflightError, ServerError
from tritonforge.server.settings.checks import taken_port
from tritonforge.server.settings.server import PORTS, ServerSettings

__all__ = ["telling_of_ports"]

_TAKEN = re.compile(
    r"(?:Bind for|listen tcp\d?|host port(?: for)?) \S*?:(?P<port>\d+)\b.*"
    r"(?:port is already allocated|address already in use)"
)
"""What Docker says of a port that a container, or another program, holds (20.10 to 28)."""


@contextmanager
def telling_of_ports(settings: ServerSettings) -> Iterator[None]:
    """Have the block's ports that are taken told by who holds them.

    Raises:
        PreflightError: a port of the settings is taken.
    """
    try:
        yield
    except ServerError as error:
        found = _TAKEN.search(str(error))
        fields = [field for field in PORTS if found and getattr(settings, field) == int(found["port"])]
        if not fields:
            raise
        elsewhere = not (os.environ.get("DOCKER_HOST") or "unix://").startswith("unix://")
        raise PreflightError([taken_port(fields[0], settings, elsewhere=elsewhere)]) from error
