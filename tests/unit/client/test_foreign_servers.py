"""Servers that answer, and aren't Triton's, beside one that is: no call is lost to them, and little goes there."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import grpc
import numpy as np
import pytest
from tritonclient.grpc import service_pb2

from tritonforge.client import AsyncClient, Breaker, Client, Retries, ServerUnavailable
from tritonforge.client.deadline import Deadline
from tritonforge.client.errors import ModelNotFound, Target
from tritonforge.client.message import Request
from tritonforge.client.reliable import replicas as replicas_module
from tritonforge.client.reliable.attempts import Attempts
from tritonforge.client.reliable.replicas import Replica, Replicas
from tritonforge.client.reliable.retries import Budget

from .fault_server import ANSWER, FaultServer, Peer, free_port
from .small_servers import grpc_server, grpc_service, ok, serve_model

X = np.array([1, 2], np.float32)
PATIENCE_S = 20.0
TARGET = Target("a, b", "m")
NO_RETRIES = Retries(attempts=1, budget=0, burst=0)
LONG = Breaker(pause_s=600, longest_pause_s=600)
"""Leaves a server alone for longer than a test takes."""


def answer(status: str, body: bytes) -> bytes:
    return ok(body).replace(b"200 OK", status.encode())


OTHERS = {
    "JSON": ok(b'{"hello":1}'),
    "a description of nothing": ok(b'{"name":"m","inputs":5}'),
    "a list": ok(b"[]"),
    "404": answer("404 Not Found", b'{"detail":"Not Found"}'),
    "a page": ok(b"<html>hello</html>"),
    "404, a page": answer("404 Not Found", b"<html>hello</html>"),
}
NO_HEALTH = ("404", "a page", "404, a page")


class Other:
    """Answers everything the same; it counts what it was asked."""

    def __init__(self, said: bytes) -> None:
        self.asked: Counter[str] = Counter()
        self._said = said

    def __call__(self, peer: Peer) -> None:
        while request := peer.request():
            self.asked[request.split(b" ")[0].decode()] += 1
            peer.send(self._said)


@pytest.fixture
def first_url_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have questions about models begin with the first URL: a client draws which one."""
    monkeypatch.setattr(replicas_module.random, "randrange", lambda count: 0)


@contextmanager
def beside(said: bytes) -> Iterator[tuple[Other, list[str]]]:
    other = Other(said)
    with FaultServer(other) as foreign, FaultServer(serve_model) as good:
        yield other, [foreign.url, good.url]


@pytest.mark.usefixtures("first_url_first")
@pytest.mark.parametrize("said", OTHERS.values(), ids=OTHERS)
def test_no_call_is_lost_to_it(said: bytes) -> None:
    with beside(said) as (_, urls):
        for among in (urls, [f"http://127.0.0.1:{free_port()}", *urls]):
            with Client(among, timeout_s=PATIENCE_S, tracing=False) as client:
                for _ in range(8):
                    assert client.infer("m", x=X).y.tolist() == [1, 2]


@pytest.mark.parametrize("said", OTHERS.values(), ids=OTHERS)
def test_no_call_of_a_burst_is_lost_to_it_though_there_are_no_retries(said: bytes) -> None:
    async def main(urls: list[str]) -> list[Any]:
        async with AsyncClient(urls, timeout_s=PATIENCE_S, tracing=False, retries=NO_RETRIES) as client:
            return await asyncio.gather(*[client.infer("m", x=X) for _ in range(60)])

    with beside(said) as (_, urls):
        for among in (urls, urls[::-1]):
            assert [result.y.tolist() for result in asyncio.run(main(among))] == [[1, 2]] * 60


@pytest.mark.usefixtures("first_url_first")
@pytest.mark.parametrize("said", [OTHERS[name] for name in NO_HEALTH], ids=NO_HEALTH)
def test_no_tensor_goes_to_one_that_says_it_has_no_health(said: bytes) -> None:
    async def main(urls: list[str]) -> None:
        async with AsyncClient(urls, timeout_s=PATIENCE_S, tracing=False, breaker=LONG) as client:
            await asyncio.gather(*[client.infer("m", x=X) for _ in range(60)])

    with beside(said) as (other, urls):
        asyncio.run(main(urls[::-1]))
        assert set(other.asked) == {"GET"}, "whether it is live"


@pytest.mark.parametrize("said", [OTHERS[name] for name in NO_HEALTH], ids=NO_HEALTH)
def test_it_is_not_ready(said: bytes) -> None:
    with FaultServer(Other(said)) as server, Client(server.url, timeout_s=PATIENCE_S) as client:
        assert not client.is_ready()


@pytest.mark.parametrize("body", [b"", b'{"live":true}', b"OK"])
def test_other_servers_of_the_protocol_may_say_more_of_their_health(body: bytes) -> None:
    with FaultServer(Other(ok(body))) as server, Client(server.url, timeout_s=PATIENCE_S) as client:
        assert client.is_ready()


@pytest.mark.usefixtures("first_url_first")
@pytest.mark.parametrize("said", OTHERS.values(), ids=OTHERS)
def test_it_is_left_alone_for_a_pause(said: bytes) -> None:
    with (
        beside(said) as (other, urls),
        Client(urls, timeout_s=PATIENCE_S, tracing=False, breaker=LONG) as client,
    ):
        for _ in range(20):
            client.infer("m", x=X)
        assert other.asked.total() == 1


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (OTHERS["JSON"], "'inputs' is missing"),
        (ok(b'{"name":"abc","inputs":[],"outputs":[]}'), "it is of abc"),
        (OTHERS["a description of nothing"], "its JSON has another form"),
    ],
)
def test_alone_it_is_told(said: bytes, words: str) -> None:
    with FaultServer(Other(said)) as server, Client(server.url, timeout_s=PATIENCE_S) as client:
        with pytest.raises(ServerUnavailable, match=f"the answer is not Triton's: {words}") as caught:
            client.infer("m", x=X)
        assert (caught.value.foreign, caught.value.url) == (True, server.url)


@contextmanager
def another_service(**answers: Any) -> Iterator[str]:
    """Serve the procedures with answers to whatever comes."""

    def handler(said: Any) -> grpc.RpcMethodHandler:
        return grpc.unary_unary_rpc_method_handler(lambda request, context: said.SerializeToString())

    handlers = {name: handler(said) for name, said in answers.items()}
    with grpc_service(grpc.method_handlers_generic_handler("inference.GRPCInferenceService", handlers)) as url:
        yield url


def of_another_model(request: Any, context: grpc.ServicerContext) -> Any:
    return service_pb2.ModelInferResponse(model_name="abc", model_version="3")


def empty_description() -> Any:
    return another_service(
        ModelMetadata=service_pb2.ModelMetadataResponse(), ModelConfig=service_pb2.ModelConfigResponse()
    )


GRPC: dict[str, Callable[[], Any]] = {
    "an empty description": empty_description,
    "an answer of another model": lambda: grpc_server(of_another_model),
}


@pytest.mark.usefixtures("first_url_first")
@pytest.mark.parametrize("other", GRPC.values(), ids=GRPC)
def test_over_grpc_no_call_is_lost_to_it_either(other: Callable[[], Any]) -> None:
    with other() as foreign, grpc_server() as good:
        with Client([foreign, good], timeout_s=PATIENCE_S, tracing=False, retries=NO_RETRIES) as client:
            for _ in range(12):
                assert client.infer("m", x=X).y.tolist() == [1, 2]
        with Client(foreign, timeout_s=PATIENCE_S) as client, pytest.raises(ServerUnavailable, match="not ") as caught:
            client.infer("m", x=X)
        assert (caught.value.foreign, caught.value.url) == (True, foreign)


@pytest.mark.usefixtures("first_url_first")
def test_a_request_of_a_sequence_that_it_answered_is_not_sent_elsewhere() -> None:
    with (
        grpc_server(of_another_model) as foreign,
        grpc_server() as good,
        Client([good, foreign], timeout_s=PATIENCE_S, tracing=False) as client,
    ):
        errors = []
        for number in (5, 6):  # one of them begins there
            try:
                client.infer("m", x=X, sequence_id=number, sequence_start=True, sequence_end=True)
            except ServerUnavailable as error:
                errors.append((error.reason, error.foreign, error.sent))
        assert errors == [("the answer is not of this model: it is of abc version 3", True, True)]


def attempts(replicas: Replicas[str], request: Request | None = None, retries: Retries = NO_RETRIES) -> Attempts[str]:
    return Attempts(replicas, retries, Budget(retries), Deadline(5), TARGET, request=request)


def strange(words: str = "a page", *, sent: bool = True) -> ServerUnavailable:
    return ServerUnavailable(words, TARGET, sent=sent, foreign=True)


def begun(call: Attempts[str]) -> Replica[str]:
    return call.begin()


def test_each_is_asked_once_at_no_cost() -> None:
    replicas = Replicas(["a", "b", "c"])
    call = attempts(replicas)
    asked = []
    for _ in range(2):
        asked.append(begun(call))
        assert call.failed(asked[-1], strange()) == 0
    asked.append(begun(call))
    with pytest.raises(ServerUnavailable, match="the last one"):
        call.failed(asked[-1], strange("the last one"))
    assert len(set(asked)) == 3
    assert not any(replica.in_flight for replica in replicas.all)


def test_a_server_that_was_busy_is_asked_again_where_the_others_are_none() -> None:
    call = attempts(Replicas(["a", "b"]), retries=Retries(attempts=2, first_delay_s=0))
    busy = begun(call)
    call.failed(busy, ServerUnavailable("busy", TARGET, of_model=True))
    call.failed(begun(call), strange())
    assert begun(call) is busy
    with pytest.raises(ServerUnavailable, match="busy"):
        call.failed(busy, ServerUnavailable("busy", TARGET, of_model=True))


def test_an_only_one_is_asked_once_after_another_failure_too() -> None:
    call = attempts(Replicas(["a"]), retries=Retries(first_delay_s=0))
    call.failed(begun(call), ServerUnavailable("busy", TARGET))
    with pytest.raises(ServerUnavailable, match="a page"):
        call.failed(begun(call), strange())


@pytest.mark.parametrize("foreign_first", [True, False])
def test_the_error_tells_of_a_server_without_the_model_too(foreign_first: bool) -> None:
    said = [strange(), ModelNotFound("no such model", TARGET)]
    call = attempts(Replicas(["a", "b"]))
    one, two = said if foreign_first else said[::-1]
    assert call.failed(begun(call), one) == 0
    with pytest.raises(ServerUnavailable, match="a page; and a, b: no such model"):
        call.failed(begun(call), two)


@pytest.mark.parametrize("sent", [True, False])
def test_a_sequence_begins_elsewhere_only_where_it_was_sent_nothing(sent: bool) -> None:
    start = Request("m", (), parameters={"sequence_id": 5, "sequence_start": True})
    call = attempts(Replicas(["a", "b"]), start)
    first = begun(call)
    if sent:
        with pytest.raises(ServerUnavailable, match="a page"):
            call.failed(first, strange())
    else:
        assert call.failed(first, strange(sent=False)) == 0
        assert begun(call) is not first


def test_a_server_that_breaks_off_and_then_lacks_the_model_has_the_last_word() -> None:
    unknown = Other(answer("404 Not Found", b'{"error":"Request for unknown model: \'m\' is not found"}'))
    with FaultServer(lambda peer: (peer.request(), peer.reset()), unknown) as server:
        with Client(server.url, timeout_s=PATIENCE_S) as client, pytest.raises(ModelNotFound):
            client.metadata("m")
        assert unknown.asked["GET"] == 1


def without_extensions(peer: Peer) -> None:
    """Serve the model as a server of the protocol does that has none of Triton's extensions."""
    while request := peer.request():
        if request.startswith(b"POST /v2/models/m/infer"):
            peer.send(ANSWER)
        elif b"/config" in request or b"/stats" in request or b"/repository/" in request:
            peer.send(answer("404 Not Found", b'{"detail":"Not Found"}'))
        else:
            peer.send(
                ok(
                    b'{"name":"m","versions":["3"],"inputs":[{"name":"x","datatype":"FP32","shape":[2]}],'
                    b'"outputs":[{"name":"y","datatype":"FP32","shape":[2]}]}'
                )
            )


def test_what_a_server_lacks_of_tritons_extensions_is_no_failure_of_its_own() -> None:
    with FaultServer(without_extensions) as server, Client(server.url, timeout_s=PATIENCE_S, breaker=LONG) as client:
        for _ in range(10):
            with pytest.raises(ServerUnavailable, match="without this endpoint"):
                client.config("m")
            with pytest.raises(ServerUnavailable, match="without this endpoint"):
                client.admin.statistics()
        assert client.infer("m", x=X).y.tolist() == [1, 2]
