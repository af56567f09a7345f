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
    from tritonforge.client.classes import Label
    from tritonforge.client.client import Client
    from tritonforge.client.cuda_arrays import CudaArray
    from tritonforge.client.errors import (
        ClientError,
        DeadlineExceeded,
        InferenceFailed,
        InvalidRequest,
        ModelNotFound,
        ModelNotReady,
        ServerUnavailable,
    )
    from tritonforge.client.map_calls import AsyncMapped
    from tritonforge.client.mapping import Mapped, Progress
    from tritonforge.client.metadata import ModelStatus, ServedModel
    from tritonforge.client.options import TLS, ConnectionOptions
    from tritonforge.client.replicas import Breaker
    from tritonforge.client.result import Result
    from tritonforge.client.retries import Retries
    from tritonforge.client.sequence_calls import (
        AsyncDefinedSequence,
        AsyncModelSequence,
        DefinedSequence,
        ModelSequence,
    )
    from tritonforge.client.stub import SchemaChanged

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
    "AsyncDefinedSequence": "sequence_calls",
    "AsyncMapped": "map_calls",
    "AsyncModelSequence": "sequence_calls",
    "Breaker": "replicas",
    "Client": "client",
    "ConnectionOptions": "options",
    "CudaArray": "cuda_arrays",
    "DefinedSequence": "sequence_calls",
    "Definition": "call",
    "Label": "classes",
    "Mapped": "mapping",
    "ModelSequence": "sequence_calls",
    "ModelStatus": "metadata",
    "Progress": "mapping",
    "Result": "result",
    "Retries": "retries",
    "SchemaChanged": "stub",
    "ServedModel": "metadata",
    "TLS": "options",
}


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = importlib.import_module(f"{__name__}.{_MODULES.get(name, 'errors')}")
    return getattr(module, name)
