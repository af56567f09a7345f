"""Headers of single calls, of both clients and over both protocols: sent with all that the call asks, and no other."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import grpc
import numpy as np
import pytest

from tritonforge.client import AsyncClient, Client, ConnectionOptions, InvalidRequest, Retries
from tritonforge.client.stub import Stub, only
from tritonforge.ir import Signature, TensorSpec

from .fault_server import ANSWER, FaultServer, Peer
from .small_servers import answer_question, doubled, doubled_once, grpc_server, ok

X = np.array([1, 2], np.float32)
TENSORS = (TensorSpec("x", "FP32", (2,)),), (TensorSpec("y", "FP32", (2,)),)
DEFINED = Stub("m", Signature(*TENSORS, batched=False), only)
STREAMED = Stub("m", Signature(*TENSORS, batched=False, decoupled=True), only)
TENANT = {"X-Tenant": "a"}
GENERATED = json.dumps({"model_name": "m", "y": 1}).encode()


class Seen:
    """What a server was sent: of each request its subject and its headers, names in lower case."""

    def __init__(self, busy: int = 0) -> None:
        self.requests: list[tuple[str, list[tuple[str, str]]]] = []
        self.busy = busy
        """How many inferences are refused at first."""

    def values(self, name: str) -> list[list[str]]:
        """List the values of a header for each request."""
        return [[value for given, value in headers if given == name] for _, headers in self.requests]

    @contextmanager
    def server(self, protocol: str) -> Iterator[str]:
        if protocol == "grpc":
            with grpc_server(self.infer, stream=self.stream) as url:
                yield url
        else:
            with FaultServer(self.serve) as server:
                yield server.url

    def serve(self, peer: Peer) -> None:
        while request := peer.request():
            line, *lines = request.partition(b"\r\n\r\n")[0].decode("latin-1").split("\r\n")
            headers = [(name.lower(), value) for name, _, value in (line.partition(": ") for line in lines)]
            self.requests.append((line.split()[1].rpartition("/")[2], headers))
            if request.startswith(b"GET"):
                answer_question(peer, request)
            elif self.busy:
                self.busy -= 1
                peer.send(b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 4\r\n\r\nbusy")
            elif b"/generate_stream " in request:
                peer.send(ok(b"data: " + GENERATED + b"\n\n"))
            else:
                peer.send(ok(GENERATED) if b"/generate " in request else ANSWER)

    def note(self, subject: str, context: grpc.ServicerContext) -> None:
        self.requests.append((subject, [(key, str(value)) for key, value in context.invocation_metadata()]))

    def infer(self, request: Any, context: grpc.ServicerContext) -> Any:
        self.note("infer", context)
        if self.busy:
            self.busy -= 1
            context.abort(grpc.StatusCode.UNAVAILABLE, "busy")
        return doubled(request, context)

    def stream(self, requests: Any, context: grpc.ServicerContext) -> Iterator[Any]:
        self.note("stream", context)
        return doubled_once(requests, context)


def in_sequence(client: Client, **options: Any) -> Any:
    with client.sequence("m", **options) as sequence:
        return sequence.infer(x=X, end=True)


def step_of_sequence(client: Client, **options: Any) -> Any:
    with client.sequence(DEFINED) as sequence:
        return sequence.infer(X, end=True, **options)


CALLS: dict[str, tuple[str, Callable[..., Any]]] = {
    "infer": ("http grpc", lambda client, **options: client.infer("m", x=X, **options)),
    "call": ("http grpc", lambda client, **options: client.call(DEFINED, X, **options)),
    "map": ("http grpc", lambda client, **options: list(client.map("m", [X, X], **options))),
    "sequence": ("http grpc", in_sequence),
    "step": ("http grpc", step_of_sequence),
    "stream": ("grpc", lambda client, **options: list(client.stream("m", x=X, **options))),
    "typed stream": ("grpc", lambda client, **options: list(client.stream(STREAMED, X, **options))),
    "generate": ("http", lambda client, **options: client.generate("m", x=1, **options)),
    "generate_stream": ("http", lambda client, **options: list(client.generate_stream("m", x=1, **options))),
}


async def in_sequence_of_tasks(client: AsyncClient, **options: Any) -> None:
    async with client.sequence("m", **options) as sequence:
        await sequence.infer(x=X, end=True)


async def step_of_sequence_of_tasks(client: AsyncClient, **options: Any) -> None:
    async with client.sequence(DEFINED) as sequence:
        await sequence.infer(X, end=True, **options)


async def read(items: Any) -> None:
    async for _ in items:
        pass


ASYNC_CALLS: dict[str, Callable[..., Any]] = {
    "infer": lambda client, **options: client.infer("m", x=X, **options),
    "call": lambda client, **options: client.call(DEFINED, X, **options),
    "map": lambda client, **options: read(client.map("m", [X, X], **options)),
    "sequence": in_sequence_of_tasks,
    "step": step_of_sequence_of_tasks,
    "stream": lambda client, **options: read(client.stream("m", x=X, **options)),
    "typed stream": lambda client, **options: read(client.stream(STREAMED, X, **options)),
    "generate": lambda client, **options: client.generate("m", x=1, **options),
    "generate_stream": lambda client, **options: read(client.generate_stream("m", x=1, **options)),
}
EACH = [(name, protocol) for name, (protocols, _) in CALLS.items() for protocol in protocols.split()]


def blocking(url: str, name: str, **settings: Any) -> None:
    with Client(url, timeout_s=20, tracing=False, **settings) as client:
        for options in ({"headers": TENANT}, {"headers": {}}, {"headers": {"x-tenant": "b", "x-more": "c"}}, {}):
            CALLS[name][1](client, **options)


def in_loop(url: str, name: str, **settings: Any) -> None:
    async def main() -> None:
        async with AsyncClient(url, timeout_s=20, tracing=False, **settings) as client:
            for options in ({"headers": TENANT}, {"headers": {}}, {"headers": {"x-tenant": "b", "x-more": "c"}}, {}):
                await ASYNC_CALLS[name](client, **options)

    asyncio.run(main())


@pytest.mark.parametrize("run", [blocking, in_loop])
@pytest.mark.parametrize(("name", "protocol"), EACH)
def test_each_call_has_those_of_its_own_alone(name, protocol, run):
    seen = Seen()
    with seen.server(protocol) as url:
        run(url, name)
    inferences = [at for at, (subject, _) in enumerate(seen.requests) if subject in ("infer", "stream", name)]
    values = [seen.values("x-tenant")[at] for at in inferences]
    each = 2 if name == "map" else 1
    assert values == [["a"]] * each + [[]] * each + [["b"]] * each + [[]] * each
    assert [seen.values("x-more")[at] for at in inferences][2 * each] == ["c"]


@pytest.mark.parametrize("run", [blocking, in_loop])
def test_what_is_asked_for_a_call_has_them_too(run):
    seen = Seen()
    with seen.server("http") as url:
        run(url, "infer")
    assert [subject for subject, _ in seen.requests[:3]] == ["m", "config", "infer"]
    assert seen.values("x-tenant")[:3] == [["a"]] * 3


@pytest.mark.parametrize("run", [blocking, in_loop])
@pytest.mark.parametrize("protocol", ["http", "grpc"])
@pytest.mark.parametrize("compression", ["", "gzip"])
def test_of_a_name_that_the_client_has_too_the_calls_counts(protocol, run, compression):
    seen = Seen()
    with seen.server(protocol) as url:
        options = ConnectionOptions({"X-TENANT": "own", "x-app": "app"}, token="t", compression=compression)
        run(url, "infer", options=options)
    inferences = [at for at, (subject, _) in enumerate(seen.requests) if subject == "infer"]
    assert [seen.values("x-tenant")[at] for at in inferences] == [["a"], ["own"], ["b"], ["own"]]
    assert seen.values("x-app") == [["app"]] * len(seen.requests)
    assert seen.values("authorization") == [["Bearer t"]] * len(seen.requests)


@pytest.mark.parametrize("protocol", ["http", "grpc"])
@pytest.mark.parametrize("token", ["t", lambda: "t"])
def test_a_call_may_have_an_authorization_of_its_own(protocol, token):
    seen = Seen()
    options = ConnectionOptions(token=token)
    with seen.server(protocol) as url, Client(url, timeout_s=20, options=options, tracing=False) as client:
        client.infer("m", x=X, headers={"Authorization": "Basic b"})
        client.infer("m", x=X)
    found = [value for value, (subject, _) in zip(seen.values("authorization"), seen.requests, strict=True)]
    assert found[-2:] == [["Basic b"], ["Bearer t"]]


@pytest.mark.parametrize("protocol", ["http", "grpc"])
def test_they_are_kept_over_retries_and_other_servers(protocol):
    first, second = Seen(), Seen()
    with first.server(protocol) as one, second.server(protocol) as other:
        retries = Retries(attempts=3, first_delay_s=0)
        with Client([one, other], timeout_s=20, retries=retries, tracing=False) as client:
            for _ in range(2):  # each is asked first once
                first.busy = second.busy = 1
                assert client.infer("m", x=X, headers=TENANT).y.tolist() == [1, 2]
    inferences = [*zip(first.requests, first.values("x-tenant"), strict=True)]
    inferences += [*zip(second.requests, second.values("x-tenant"), strict=True)]
    sent = [value for (subject, _), value in inferences if subject == "infer"]
    assert sent == [["a"]] * 6


def test_a_sequences_request_adds_to_those_of_its_sequence():
    seen = Seen()
    with (
        seen.server("http") as url,
        Client(url, timeout_s=20, tracing=False) as client,
        client.sequence("m", headers={"x-tenant": "a", "x-request": "0"}) as sequence,
    ):
        sequence.infer(x=X, headers={"x-request": "1"})
        sequence.infer(x=X, end=True)
    assert seen.values("x-tenant") == [["a"]] * 4
    assert seen.values("x-request") == [["1"]] * 3 + [["0"]]


def test_a_trace_goes_with_them():
    provider = pytest.importorskip("opentelemetry.sdk.trace").TracerProvider()
    seen = Seen()
    with seen.server("http") as url, Client(url, timeout_s=20, tracing=provider) as client:
        client.infer("m", x=X, headers=TENANT)
        client.infer("m", x=X, headers={"traceparent": "mine"})
    assert seen.values("x-tenant") == [["a"]] * 3 + [[]]
    traces = seen.values("traceparent")
    assert [len(trace) for trace in traces] == [1] * 4
    assert traces[3] == ["mine"]
    assert traces[2] != ["mine"]


@pytest.mark.parametrize("refused", [b"401 Unauthorized", b"403 Forbidden"])
def test_what_one_task_is_refused_for_its_token_is_told_to_no_other(refused):
    async def ask(client: AsyncClient, token: str) -> Any:
        user.set(token)
        return await client.infer("m", x=X)

    async def main(url: str) -> list[Any]:
        async with AsyncClient(url, timeout_s=20, options=ConnectionOptions(token=user.get)) as client:
            return await asyncio.gather(*[ask(client, token) for token in ("bad", "good")], return_exceptions=True)

    def serve(peer: Peer) -> None:
        while request := peer.request():
            if b"bearer good" in request.lower():
                answer_question(peer, request) if request.startswith(b"GET") else peer.send(ANSWER)
            else:
                peer.send(b"HTTP/1.1 %b\r\nContent-Length: 0\r\n\r\n" % refused)

    user: ContextVar[str] = ContextVar("user")
    with FaultServer(serve) as server:
        bad, good = asyncio.run(main(server.url))
    assert isinstance(bad, InvalidRequest)
    assert good.y.tolist() == [1, 2]


@pytest.mark.parametrize(
    ("headers", "error", "words"),
    [
        ({"x y": "a"}, ValueError, "the header name 'x y' has characters"),
        ({":path": "a"}, ValueError, "the header name ':path' has characters"),
        ({"x-tenant": "a\r\nx-other: b"}, ValueError, "x-tenant: .* has characters that a header can't hold"),
        ({"x-tenant": "é"}, ValueError, "x-tenant: .* has characters that a header can't hold"),
        ({"x-tenant": " a"}, ValueError, "x-tenant: ' a' begins or ends with white space, .*; strip it"),
        ({"x-tenant": "a b\t"}, ValueError, r"x-tenant: 'a b\\t' begins or ends with white space, .*; strip it"),
        ({"x-tenant": "  "}, ValueError, "x-tenant: '  ' begins or ends with white space, .*; strip it"),
        ({"x-tenant": "a\n"}, ValueError, r"x-tenant: 'a\\n' begins or ends with white space, .*; strip it"),
        ({"x-tenant": "é "}, ValueError, "x-tenant: .* has characters that a header can't hold"),
        ({"X-Tenant": "a", "x-TENANT": "b"}, ValueError, "have 'X-Tenant' and 'x-TENANT', which are one header"),
        ({"Content-Length": "5"}, ValueError, "the header Content-Length is the client's own to set"),
        ({"x-tenant": 5}, TypeError, "the header x-tenant: its value is of type int"),
        (["x-tenant"], TypeError, "headers is of type list; it takes a mapping"),
        (
            X,
            TypeError,
            r'headers is of type ndarray; .*; an input of the name "headers" goes by position, or in inputs=',
        ),
    ],
)
@pytest.mark.parametrize(("name", "protocol"), EACH)
def test_one_that_can_not_be_sent_is_refused_before_anything_is(name, protocol, headers, error, words):
    async def main(url: str) -> None:
        async with AsyncClient(url, tracing=False) as client:
            with pytest.raises(error, match=words):
                await ASYNC_CALLS[name](client, headers=headers)

    seen = Seen()
    with seen.server(protocol) as url:
        with Client(url, tracing=False) as client, pytest.raises(error, match=words):
            CALLS[name][1](client, headers=headers)
        asyncio.run(main(url))
    assert not seen.requests


@pytest.mark.parametrize(
    ("name", "words"),
    [("X-Bin", "names in -bin are those of bytes"), ("Grpc-Timeout", "names in grpc- are the protocol")],
)
def test_over_grpc_names_of_its_own_are_refused(name, words):
    for url in ("grpc://127.0.0.1:1", ["http://127.0.0.1:1", "grpc://127.0.0.1:1"]):
        with Client(url) as client, pytest.raises(ValueError, match=f"the header {name} can't go over gRPC: {words}"):
            client.infer("m", x=X, headers={name: "1"})
        with pytest.raises(ValueError, match=f"the header {name} can't go over gRPC: {words}"):
            Client(url, options=ConnectionOptions({name: "1"}))
    seen = Seen()
    with seen.server("http") as url, Client(url, tracing=False) as client:
        client.infer("m", x=X, headers={name: "1"})
    assert seen.values(name.lower()) == [["1"]] * 3


def test_the_callers_mapping_may_change_while_the_call_is_under_way():
    headers = {"x-tenant": "a"}

    def infer(request: Any, context: grpc.ServicerContext) -> Any:
        headers["x-tenant"] = "b"
        found.append(dict(context.invocation_metadata())["x-tenant"])
        if len(found) == 1:
            context.abort(grpc.StatusCode.UNAVAILABLE, "busy")
        return doubled(request, context)

    found: list[str] = []
    with grpc_server(infer) as url, Client(url, timeout_s=20, retries=Retries(first_delay_s=0)) as client:
        client.infer("m", x=X, headers=headers)
    assert found == ["a", "a"]
