"""What models say at their load of settings that do nothing here: in the server's log, and shown where they load."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from tritonforge.server import Server
    from tritonforge.server.asking.catalog import ServedModel

__all__ = ["show_notices"]

_STANDINS = ("onnx", "pytorch", "torchscript")
"""How the kinds of their models begin, as a manifest or the server names them."""

_REST_S, _WITHIN_S = 0.05, 1.0
"""A notice goes to the log through a queue of Triton's, and may be there a little later than the model is (24.10)."""


def show_notices(server: Server, model: str = "", *, after: int = 0) -> list[ServedModel]:
    """Print as warnings what the stand-ins for native backends wrote at their load, once the log rests.

    `model` is the one that was loaded; empty for all. `after` is how long the log was then. Gives all models.
    """
    from tritonforge.server.diagnosis.log import added, read_notices

    log, read_at = server.log_text(), time.monotonic()
    deadline = read_at + _WITHIN_S
    models = server.describe()
    if not any(one.kind.startswith(_STANDINS) for one in models if model in ("", one.name)):
        return models
    before = None
    while log != before and read_at < deadline:
        time.sleep(max(0.0, read_at + _REST_S - time.monotonic()))
        before, log, read_at = log, server.log_text(), time.monotonic()
    for notice in read_notices(added(log, after)):
        typer.echo(f"warning: {notice}", err=True)
    return models
