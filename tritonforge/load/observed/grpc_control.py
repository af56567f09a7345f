"""Questions to a server over gRPC: grpcio and the messages of tritonclient."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import grpc
from google.protobuf.json_format import MessageToDict
from tritonclient.grpc import service_pb2 as pb
from tritonclient.grpc import service_pb2_grpc

from tritonforge.load.address import Address
from tritonforge.load.errors import LoadFailed
from tritonforge.load.observed.statistics import RESTRICTED
from tritonforge.load.trust import TlsFiles, distrust

__all__ = ["GrpcControl"]

Json = dict[str, Any]
_TIMEOUT_S = 30.0
_SILENT = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED)


class GrpcControl:
    """A `Control` over gRPC."""

    def __init__(self, address: Address, headers: Mapping[str, str], tls: TlsFiles) -> None:
        options = (("grpc.max_receive_message_length", -1), ("grpc.enable_http_proxy", 0))
        if address.tls:
            named = (*options, *tls.channel_options)
            self._channel = grpc.secure_channel(address.authority, tls.credentials(), named)
        else:
            self._channel = grpc.insecure_channel(address.authority, options)
        self._stub = service_pb2_grpc.GRPCInferenceServiceStub(self._channel)
        self._address, self._tls = address, tls
        self._headers = tuple((name.lower(), value) for name, value in headers.items())

    def metadata(self, model: str, version: str) -> Json:
        """Ask for a model's inputs and outputs."""
        return self._ask(self._stub.ModelMetadata, pb.ModelMetadataRequest(name=model, version=version))

    def config(self, model: str, version: str) -> Json:
        """Ask for a model's configuration; empty where the server has none to tell."""
        try:
            answer = self._ask(self._stub.ModelConfig, pb.ModelConfigRequest(name=model, version=version))
        except LoadFailed as error:
            if isinstance(error.__cause__, grpc.Call) and error.__cause__.code() in _SILENT:
                raise
            return {}
        config: Json = answer.get("config", {})
        return config

    def statistics(self) -> Json:
        """Ask for the statistics of all models."""
        return self._ask(self._stub.ModelStatistics, pb.ModelStatisticsRequest())

    def server(self) -> Json:
        """Ask for the server's name and version."""
        return self._ask(self._stub.ServerMetadata, pb.ServerMetadataRequest())

    def register(self, region: str, key: str, size: int) -> None:
        """Register a region of system shared memory."""
        request = pb.SystemSharedMemoryRegisterRequest(name=region, key=key, offset=0, byte_size=size)
        self._ask(self._stub.SystemSharedMemoryRegister, request)

    def unregister(self, region: str) -> None:
        """Take a region back."""
        self._ask(self._stub.SystemSharedMemoryUnregister, pb.SystemSharedMemoryUnregisterRequest(name=region))

    def regions(self) -> list[str]:
        """Ask for the names of the regions of system shared memory."""
        answer = self._ask(self._stub.SystemSharedMemoryStatus, pb.SystemSharedMemoryStatusRequest())
        return list(answer.get("regions", ()))

    def close(self) -> None:
        """Close the connection."""
        self._channel.close()

    def _ask(self, method: Callable[..., Any], request: Any) -> Json:
        try:
            answer = method(request, timeout=_TIMEOUT_S, metadata=self._headers)
        except grpc.RpcError as error:
            restricted = RESTRICTED.search(str(error.details()))  # which is UNAVAILABLE, too (24.10)
            away = error.code() is grpc.StatusCode.UNAVAILABLE and not restricted
            hint = "; is a server listening there, and is this its gRPC port?" if away else ""
            words = str(error.details())
            lacking = self._tls.lacking(words) if self._address.tls and away else ""
            hint = f"; {why}" if (why := distrust(words) or lacking) else hint
            raise LoadFailed(f"{self._address}: {error.code().name}: {error.details()}{hint}") from error
        return dict(MessageToDict(answer, preserving_proto_field_name=True))
