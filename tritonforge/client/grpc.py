"""The gRPC transport, over grpcio and the messages of tritonclient."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any

import grpc
from tritonclient.grpc import service_pb2 as pb
from tritonclient.grpc import service_pb2_grpc

from tritonforge.client.deadline import Deadline
from tritonforge.client.errors import ClientError, DeadlineExceeded, InferenceFailed, ServerUnavailable, Target
from tritonforge.client.failures import from_grpc_code, with_hint
from tritonforge.client.grpc_message import from_message, to_json, to_message
from tritonforge.client.message import Request, Response
from tritonforge.client.transport import Json
from tritonforge.client.url import Endpoint

__all__ = ["GrpcTransport"]

_OPTIONS = (
    ("grpc.max_send_message_length", -1),
    ("grpc.max_receive_message_length", -1),
    # A server that has come back is seen at once; by default grpc waits up to two minutes.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1000),
    # Clients don't share a connection, nor its back-off; and a proxy of the environment is not for this server.
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.enable_http_proxy", 0),
)


_FAILURES = (grpc.RpcError, TimeoutError, ValueError)


class GrpcTransport:
    """One server's gRPC endpoint, usable from several threads."""

    def __init__(self, endpoint: Endpoint) -> None:
        self.url = str(endpoint)
        self._channel = grpc.insecure_channel(endpoint.authority, options=_OPTIONS)
        self._stub = service_pb2_grpc.GRPCInferenceServiceStub(self._channel)
        self._closed = False

    def infer(self, request: Request, deadline: Deadline) -> Response:
        """Send one request and wait for its one response."""
        try:
            answer = self._stub.ModelInfer(to_message(request), timeout=self._left_s(deadline))
            return from_message(answer)
        except _FAILURES as error:
            raise _failure(error, deadline, self._target(request)) from error

    def stream(self, request: Request, deadline: Deadline) -> Generator[Response, None, None]:
        """Send one request and give each response as it comes. Closing the generator cancels the request."""
        target = self._target(request)
        message = to_message(request)
        message.parameters["triton_enable_empty_final_response"].bool_param = True
        try:
            call = self._stub.ModelStreamInfer(iter([message]), timeout=self._left_s(deadline))
        except TimeoutError as error:
            raise _failure(error, deadline, target) from error
        try:
            for answer in call:
                if answer.error_message:
                    raise InferenceFailed(with_hint(answer.error_message), target)
                response = from_message(answer.infer_response)
                final = response.parameters.get("triton_final_response", False)
                if response.outputs or not final:
                    yield response
                if final:
                    return
        except _FAILURES as error:
            raise _failure(error, deadline, target) from error
        finally:
            call.cancel()

    def server_ready(self, deadline: Deadline) -> bool:
        """Tell whether the server says that it is ready."""
        return bool(self._ask(self._stub.ServerReady, pb.ServerReadyRequest(), deadline, Target(self.url)).ready)

    def model_ready(self, model: str, version: str, deadline: Deadline) -> bool:
        """Tell whether the model is loaded."""
        message = pb.ModelReadyRequest(name=model, version=version)
        return bool(self._ask(self._stub.ModelReady, message, deadline, Target(self.url, model, version)).ready)

    def server_metadata(self, deadline: Deadline) -> Json:
        """Fetch the server's name, version and extensions."""
        message = pb.ServerMetadataRequest()
        return to_json(self._ask(self._stub.ServerMetadata, message, deadline, Target(self.url)))

    def model_metadata(self, model: str, version: str, deadline: Deadline) -> Json:
        """Fetch a model's versions, inputs and outputs."""
        message = pb.ModelMetadataRequest(name=model, version=version)
        return to_json(self._ask(self._stub.ModelMetadata, message, deadline, Target(self.url, model, version)))

    def model_config(self, model: str, version: str, deadline: Deadline) -> Json:
        """Fetch a model's configuration, as completed by the server."""
        message = pb.ModelConfigRequest(name=model, version=version)
        return to_json(self._ask(self._stub.ModelConfig, message, deadline, Target(self.url, model, version)).config)

    def index(self, deadline: Deadline) -> list[Json]:
        """Fetch the models of the repository and their states."""
        answer = self._ask(self._stub.RepositoryIndex, pb.RepositoryIndexRequest(), deadline, Target(self.url))
        return [to_json(entry) for entry in answer.models]

    def close(self) -> None:
        """Close the channel; calls in flight are cancelled."""
        self._closed = True
        self._channel.close()

    def _ask(self, method: Callable[..., Any], message: Any, deadline: Deadline, target: Target) -> Any:
        try:
            return method(message, timeout=self._left_s(deadline))
        except _FAILURES as error:
            raise _failure(error, deadline, target) from error

    def _left_s(self, deadline: Deadline) -> float:
        if self._closed:
            raise RuntimeError(f"the client of {self.url} is closed")
        return deadline.left_s()

    def _target(self, request: Request) -> Target:
        return Target(self.url, request.model, request.version, request.id)


def _failure(error: Any, deadline: Deadline, target: Target) -> ClientError:
    """Make the error of a failed call; what grpc raises is both an RpcError and a Call."""
    if isinstance(error, ValueError):
        return ServerUnavailable(f"the answer is not Triton's: {error}", target)
    if isinstance(error, TimeoutError) or error.code() is grpc.StatusCode.DEADLINE_EXCEEDED:
        return DeadlineExceeded(f"no answer within {deadline.timeout_s:g} s", target)
    return from_grpc_code(error.code().name, error.details() or "", target)
