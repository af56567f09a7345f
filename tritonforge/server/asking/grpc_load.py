"""Loads of models asked for over gRPC, which leave Triton's HTTP port free while they last."""

from __future__ import annotations

import http.client
from typing import Any

from tritonforge.server.asking.health import Health

__all__ = ["load_over_grpc"]

_KEY_PREFIX = "triton-grpc-protocol-"
_NO_SERVER = "failed to connect"
_OPTIONS = (("grpc.enable_http_proxy", 0),)
"""A proxy of the environment is not for a server of this machine."""


def load_over_grpc(health: Health, model: str, timeout_s: float) -> tuple[int, str] | None:
    """Load a model, waiting until it serves; give an HTTP status and Triton's words. None where gRPC can't be had.

    A load over HTTP holds one of the threads that serve that port until it is over, and with it all connections that
    happen to be on that thread: 6 of 10 stood still for the 1.4 s of a load. Over gRPC none does (24.10).
    """
    if not health.grpc_address:
        return None
    try:
        import grpc
        from tritonclient.grpc import service_pb2, service_pb2_grpc
    except ImportError:
        return None
    metadata = [(f"{_KEY_PREFIX}{name}", value) for name, value in health.headers.items()]
    request: Any = service_pb2.RepositoryModelLoadRequest(model_name=model)
    with grpc.insecure_channel(health.grpc_address, options=_OPTIONS) as channel:
        stub: Any = service_pb2_grpc.GRPCInferenceServiceStub(channel)
        try:
            stub.RepositoryModelLoad(request, timeout=timeout_s, metadata=metadata)
        except grpc.RpcError as error:
            return _refusal(error)
    return http.client.OK, ""


def _refusal(error: Any) -> tuple[int, str] | None:
    words = str(error.details() or "")
    if _NO_SERVER in words or error.code().name == "UNIMPLEMENTED":
        return None
    return (http.client.FORBIDDEN if "protocol is restricted" in words else http.client.BAD_REQUEST), words
