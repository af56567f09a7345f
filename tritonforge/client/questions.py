"""What can be asked of a server beside inferences. How each is put over HTTP or gRPC is those transports' business."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from tritonforge.client.message import Headers

__all__ = ["BASIC", "CHANGES", "READINESS", "Question"]

READINESS = frozenset({"server_ready", "server_live", "model_ready"})
"""The subjects whose answer is yes or no; the others' is what Triton's HTTP API gives, an object or a list."""

BASIC = READINESS | {"server_metadata", "model_metadata"}
"""The subjects of the Open Inference Protocol itself; the others are extensions of Triton's."""

CHANGES = frozenset({"load", "unload", "trace", "logging"})
"""The subjects that may change the server: asked but once, since again could undo what someone else did since."""


class Question(NamedTuple):
    """One question. `body` holds what goes with it, worded as Triton's HTTP API does.

    `subject` is a key of the tables in `http.questions` and `grpc.questions`: `server_ready`, `model_config`, …
    """

    subject: str
    model: str = ""
    version: str = ""
    body: Mapping[str, Any] = MappingProxyType({})
    headers: Headers = ()
