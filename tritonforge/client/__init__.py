"""Call models on a Triton server: NumPy arrays in, a named result out, over HTTP or gRPC.

    with Client("http://127.0.0.1:8000") as client:
        label, probability = client.infer("fraud", features=x)

Importing this package is quick; grpc is imported when a `grpc://` URL is first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tritonforge.client.call import Definition
    from tritonforge.client.client import Client
    from tritonforge.client.errors import (
        ClientError,
        DeadlineExceeded,
        InferenceFailed,
        InvalidRequest,
        ModelNotFound,
        ModelNotReady,
        ServerUnavailable,
    )
    from tritonforge.client.metadata import ModelStatus, ServedModel
    from tritonforge.client.result import Result

__all__ = [
    "Client",
    "ClientError",
    "DeadlineExceeded",
    "Definition",
    "InferenceFailed",
    "InvalidRequest",
    "ModelNotFound",
    "ModelNotReady",
    "ModelStatus",
    "Result",
    "ServedModel",
    "ServerUnavailable",
]

_MODULES = {
    "Client": "client",
    "Definition": "call",
    "ModelStatus": "metadata",
    "Result": "result",
    "ServedModel": "metadata",
}


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = importlib.import_module(f"{__name__}.{_MODULES.get(name, 'errors')}")
    return getattr(module, name)
