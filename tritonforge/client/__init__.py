"""Call models on a Triton server: NumPy arrays in, a named result out, over HTTP or gRPC.

    with Client("http://127.0.0.1:8000") as client:
        label, probability = client.infer("fraud", features=x)

Importing this package is quick; grpc is imported when a `grpc://` URL is first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tritonforge.client.async_client import AsyncClient
    from tritonforge.client.call import Definition
    from tritonforge.client.calls.map_calls import AsyncMapped
    from tritonforge.client.calls.mapping import Mapped, Progress
    from tritonforge.client.calls.sequence_calls import (
        AsyncDefinedSequence,
        AsyncModelSequence,
        DefinedSequence,
        ModelSequence,
    )
    from tritonforge.client.client import Client
    from tritonforge.client.cuda.arrays import CudaArray
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
    from tritonforge.client.options import TLS, ConnectionOptions
    from tritonforge.client.reliable.replicas import Breaker
    from tritonforge.client.reliable.retries import Retries
    from tritonforge.client.result import Result
    from tritonforge.client.stub import SchemaChanged
    from tritonforge.client.tensors.classes import Label

__all__ = [
    "TLS",
    "AsyncClient",
    "AsyncDefinedSequence",
    "AsyncMapped",
    "AsyncModelSequence",
    "Breaker",
    "Client",
    "ClientError",
    "ConnectionOptions",
    "CudaArray",
    "DeadlineExceeded",
    "DefinedSequence",
    "Definition",
    "InferenceFailed",
    "InvalidRequest",
    "Label",
    "Mapped",
    "ModelNotFound",
    "ModelNotReady",
    "ModelSequence",
    "ModelStatus",
    "Progress",
    "Result",
    "Retries",
    "SchemaChanged",
    "ServedModel",
    "ServerUnavailable",
]

_MODULES = {
    "AsyncClient": "async_client",
    "AsyncDefinedSequence": "calls.sequence_calls",
    "AsyncMapped": "calls.map_calls",
    "AsyncModelSequence": "calls.sequence_calls",
    "Breaker": "reliable.replicas",
    "Client": "client",
    "ConnectionOptions": "options",
    "CudaArray": "cuda.arrays",
    "DefinedSequence": "calls.sequence_calls",
    "Definition": "call",
    "Label": "tensors.classes",
    "Mapped": "calls.mapping",
    "ModelSequence": "calls.sequence_calls",
    "ModelStatus": "metadata",
    "Progress": "calls.mapping",
    "Result": "result",
    "Retries": "reliable.retries",
    "SchemaChanged": "stub",
    "ServedModel": "metadata",
    "TLS": "options",
}


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = importlib.import_module(f"{__name__}.{_MODULES.get(name, 'errors')}")
    return getattr(module, name)


def __dir__() -> list[str]:
    return __all__
