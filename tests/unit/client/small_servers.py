"""Small servers that answer as Triton does, over HTTP and gRPC, and one that takes no connection."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import grpc
from tritonclient.grpc import model_config_pb2, service_pb2

from .fault_server import ANSWER, FaultServer, Peer

METADATA = {
    "name": "m",
    "versions": ["3"],
    "platform": "python",
    "inputs": [{"name": "x", "datatype": "FP32", "shape": [2]}],
    "outputs": [{"name": "y", "datatype": "FP32", "shape": [2]}],
}
CONFIG = {"name": "m", "max_batch_size": 0, "input": [], "output": []}


@contextmanager
def full_backlog() -> Iterator[int]:
    """Give a port at which a connection is neither taken nor refused."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        port: int = listener.getsockname()[1]
        waiting = [socket.socket() for _ in range(4)]
        try:
            for client in waiting:
                client.setblocking(False)
                client.connect_ex(("127.0.0.1", port))
            yield port
        finally:
            for client in waiting:
                client.close()


def ok(body: bytes) -> bytes:
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)


def serve_model(peer: Peer) -> None:
    """Answer as an HTTP server with the model "m" does: y = [1, 2]."""
    while request := peer.request():
        if request.startswith(b"GET"):
            answer_question(peer, request)
        else:
            peer.send(ANSWER)


def answer_question(peer: Peer, request: bytes) -> None:
    """Say what an HTTP server with the model "m" says of it."""
    if request.startswith(b"GET /v2/models/m/config"):
        peer.send(ok(json.dumps(CONFIG).encode()))
    elif request.startswith(b"GET /v2/models/m"):
        peer.send(ok(json.dumps(METADATA).encode()))
    elif request.startswith(b"GET /v2/health"):
        peer.send(ok(b""))
    else:
        peer.send(ANSWER)


Infer = Callable[[Any, grpc.ServicerContext], Any]
Stream = Callable[[Any, grpc.ServicerContext], Iterator[Any]]


def doubled(request: Any, context: grpc.ServicerContext) -> Any:
    """Give what came as "x" as "y"."""
    answer = service_pb2.ModelInferResponse(model_name="m", model_version="3")
    answer.outputs.add(name="y", datatype="FP32", shape=list(request.inputs[0].shape))
    answer.raw_output_contents.append(request.raw_input_contents[0])
    return answer


def doubled_once(requests: Any, context: grpc.ServicerContext) -> Iterator[Any]:
    """Answer the request of a stream as `doubled` does."""
    answer = service_pb2.ModelStreamInferResponse(infer_response=doubled(next(requests), context))
    answer.infer_response.parameters["triton_final_response"].bool_param = True
    yield answer


@contextmanager
def grpc_server(
    infer: Infer = doubled,
    options: Sequence[tuple[str, Any]] = (),
    threads: int = 8,
    *,
    stream: Stream = doubled_once,
    without: Sequence[str] = (),
) -> Iterator[str]:
    """Serve the model "m" over gRPC, its inferences answered by `infer`, its streams by `stream`; give the URL.

    It is `without` some of the procedures.
    """

    def metadata(request: Any, context: grpc.ServicerContext) -> Any:
        answer = service_pb2.ModelMetadataResponse(name="m", versions=["3"])
        answer.inputs.add(name="x", datatype="FP32", shape=[-1])
        answer.outputs.add(name="y", datatype="FP32", shape=[-1])
        return answer

    def config(request: Any, context: grpc.ServicerContext) -> Any:
        return service_pb2.ModelConfigResponse(config=model_config_pb2.ModelConfig(name="m"))

    answers = {
        "ModelInfer": (infer, service_pb2.ModelInferRequest),
        "ModelMetadata": (metadata, service_pb2.ModelMetadataRequest),
        "ModelConfig": (config, service_pb2.ModelConfigRequest),
        "ServerLive": (
            lambda request, context: service_pb2.ServerLiveResponse(live=True),
            service_pb2.ServerLiveRequest,
        ),
        "ServerReady": (
            lambda request, context: service_pb2.ServerReadyResponse(ready=True),
            service_pb2.ServerReadyRequest,
        ),
    }
    handlers = {
        name: grpc.unary_unary_rpc_method_handler(answer, kind.FromString, lambda message: message.SerializeToString())
        for name, (answer, kind) in answers.items()
        if name not in without
    }
    handlers["ModelStreamInfer"] = grpc.stream_stream_rpc_method_handler(
        stream, service_pb2.ModelInferRequest.FromString, lambda message: message.SerializeToString()
    )
    service = grpc.method_handlers_generic_handler("inference.GRPCInferenceService", handlers)
    with grpc_service(service, threads=threads, options=options) as url:
        yield url


@contextmanager
def grpc_service(
    *handlers: grpc.GenericRpcHandler, threads: int = 4, options: Sequence[tuple[str, Any]] = ()
) -> Iterator[str]:
    """Serve over gRPC what these answer; give the URL."""
    with ThreadPoolExecutor(threads) as pool:
        server = grpc.server(pool, options=[("grpc.max_send_message_length", -1), *options])
        server.add_generic_rpc_handlers(handlers)
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        try:
            yield f"grpc://127.0.0.1:{port}"
        finally:
            server.stop(None).wait(10)


@contextmanager
def well(protocol: str) -> Iterator[str]:
    """Give the URL of a server with the model."""
    if protocol == "grpc":
        with grpc_server() as url:
            yield url
    else:
        with FaultServer(serve_model) as server:
            yield server.url
