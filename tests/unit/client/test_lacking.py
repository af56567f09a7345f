"""Servers of which some don't have a model: the others are asked."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import grpc
import numpy as np
import pytest

from tritonforge.client import AsyncClient, Client, InferenceFailed, ModelNotFound, ModelNotReady, ServerUnavailable
from tritonforge.client.deadline import Deadline
from tritonforge.client.errors import ClientError, Target
from tritonforge.client.message import Request
from tritonforge.client.reliable.attempts import Attempts
from tritonforge.client.reliable.lacking import Lacking
from tritonforge.client.reliable.replicas import Balance, Breaker, Replica, Replicas
from tritonforge.client.reliable.retries import Budget, Retries

from .fault_server import FaultServer, Peer
from .small_servers import doubled, doubled_once, grpc_server, well

MODEL = ("m", "")
TARGET = Target("a, b", "m")
UNLOADED = "Request for unknown model: 'm' has no available versions"
UNKNOWN = "Request for unknown model: 'm' is not found"
X = np.array([1, 2], np.float32)
NO_RETRIES = Retries(attempts=1, budget=0, burst=0)


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def attempts(replicas: Replicas[str], request: Request | None = None, retries: Retries = NO_RETRIES) -> Attempts[str]:
    return Attempts(replicas, retries, Budget(retries), Deadline(5), TARGET, request=request)


def chosen(replicas: Replicas[str], count: int, model: tuple[str, str] = MODEL) -> set[str]:
    names = set()
    for _ in range(count):
        replica = replicas.choose(model=model)
        assert replica
        replicas.done(replica)
        names.add(replica.transport)
    return names


def test_a_server_is_left_out_for_what_it_lacks_alone_and_then_asked_by_one_call():
    clock = Clock()
    replicas = Replicas(["a", "b"], breaker=Breaker(longest_pause_s=1), clock=clock)
    lacks = replicas.all[0]
    replicas.lacks(lacks, MODEL)
    assert chosen(replicas, 4) == {"b"}
    assert chosen(replicas, 4, ("m", "2")) == chosen(replicas, 4, ("n", "")) == {"a", "b"}
    clock.now = 1.5
    asked = [replicas.choose(model=MODEL) for _ in range(6)]
    assert asked.count(lacks) == 1, "the others wait for what it says"
    replicas.has(lacks, MODEL)
    assert chosen(replicas, 4) == {"a", "b"}
    assert not replicas.lacking(MODEL)


def test_where_all_lack_a_model_each_has_its_turn():
    replicas = Replicas(["a", "b"])
    for replica in replicas.all:
        replicas.lacks(replica, MODEL)
    assert chosen(replicas, 4) == {"a", "b"}


def test_of_an_only_server_nothing_is_noted():
    replicas = Replicas(["a"])
    replicas.lacks(replicas.all[0], MODEL)
    assert not replicas.lacking(MODEL)


def test_what_is_kept_of_models_has_a_limit():
    lacking: Lacking[str] = Lacking(1.0, Clock())
    for number in range(3_000):
        lacking.note((f"m{number}", ""), "a")
    assert len(lacking._until) <= 1_000


@pytest.mark.parametrize("known", [False, True], ids=["at first", "later"])
@pytest.mark.parametrize("said", [(ModelNotFound, ModelNotReady), (ModelNotReady, ModelNotFound)])
def test_each_is_asked_once_and_the_error_that_tells_more_is_raised(said, known):
    replicas = Replicas(["a", "b"])
    for replica in replicas.all if known else ():
        replicas.lacks(replica, MODEL)
    call = attempts(replicas)
    first = call.begin()
    assert call.failed(first, said[0]("no", TARGET)) == 0
    second = call.begin()
    assert second is not first
    with pytest.raises(ModelNotReady):
        call.failed(second, said[1]("no", TARGET))
    assert not any(replica.in_flight or replica.failures for replica in replicas.all)


def test_a_server_that_lacks_the_model_takes_no_attempt_of_those_that_have_it():
    call = attempts(Replicas(["a", "b"]), retries=Retries(attempts=2, first_delay_s=0))
    lacks = call.begin()
    call.failed(lacks, ModelNotReady("no", TARGET))
    has = call.begin()
    call.failed(has, ServerUnavailable("busy", TARGET, of_model=True))
    assert call.begin() is has
    with pytest.raises(ServerUnavailable):
        call.failed(has, ServerUnavailable("busy", TARGET, of_model=True))


def test_a_server_that_was_busy_is_asked_again_where_the_others_lack_the_model():
    call = attempts(Replicas(["a", "b"]), retries=Retries(attempts=2, first_delay_s=0))
    has = call.begin()
    call.failed(has, ServerUnavailable("busy", TARGET, of_model=True))
    call.failed(call.begin(), ModelNotReady("no", TARGET))
    assert call.begin() is has
    with pytest.raises(ServerUnavailable, match="busy"):
        call.failed(has, ServerUnavailable("busy", TARGET, of_model=True))


def test_a_server_that_lacks_the_model_is_not_asked_again_where_the_others_are_left_alone():
    retries = Retries(attempts=3, first_delay_s=0)
    budget = Budget(retries)
    budget.earn()
    replicas = Replicas(["a", "b"], breaker=Breaker(failures=1))
    call: Attempts[str] = Attempts(replicas, retries, budget, Deadline(5), TARGET)
    dead = call.begin()
    call.failed(dead, ServerUnavailable("refused", TARGET, sent=False))
    assert dead.open
    lacks = call.begin()
    with pytest.raises(ServerUnavailable, match="refused; and a, b: no such model"):
        call.failed(lacks, ModelNotFound("no such model", TARGET))
    assert budget.full

    replicas = Replicas(["a", "b"], breaker=Breaker(failures=2))
    call = Attempts(replicas, retries, budget, Deadline(5), TARGET)
    lacks = call.begin()
    call.failed(lacks, ModelNotFound("no such model", TARGET))
    dead = call.begin()
    assert call.failed(dead, ServerUnavailable("refused", TARGET, sent=False)) == 0
    assert call.begin() is dead
    with pytest.raises(ServerUnavailable, match="refused; and a, b: no such model"):
        call.failed(dead, ServerUnavailable("refused", TARGET, sent=False))


def test_what_came_of_a_stream_does_not_come_twice():
    call = attempts(Replicas(["a", "b"]))
    with pytest.raises(ModelNotReady):
        call.failed(call.begin(), ModelNotReady("no", TARGET), answered=True)


def test_a_sequence_begins_where_the_model_is_and_stays_there():
    replicas = Replicas(["a", "b"])
    begin = attempts(replicas, Request("m", (), parameters={"sequence_id": 5, "sequence_start": True}))
    begin.failed(begin.begin(), ModelNotReady("no", TARGET))
    has = begin.begin()
    begin.succeeded(has)
    later = attempts(replicas, Request("m", (), parameters={"sequence_id": 5}))
    assert later.begin() is has
    with pytest.raises(ModelNotReady):
        later.failed(has, ModelNotReady("unloaded", TARGET))


# Over the wire


@contextmanager
def lacking(protocol: str, words: str = UNLOADED) -> Iterator[str]:
    """Serve what knows of the model, as one does that is unloading it, and infers nothing."""

    def refuse(request: Any, context: grpc.ServicerContext) -> Any:
        context.abort(grpc.StatusCode.NOT_FOUND, words)

    def behave(peer: Peer) -> None:
        body = json.dumps({"error": words}).encode()
        while peer.request():
            peer.send(b"HTTP/1.1 404 Not Found\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))

    if protocol == "grpc":
        with grpc_server(refuse) as url:
            yield url
    else:
        with FaultServer(behave) as server:
            yield server.url


@pytest.mark.parametrize("balance", ["round_robin", "least_in_flight"])
@pytest.mark.parametrize("protocol", ["http", "grpc"])
@pytest.mark.parametrize("words", [UNLOADED, UNKNOWN])
@pytest.mark.parametrize("first", ["lacking", "having"])
def test_no_call_is_lost_to_a_server_without_the_model(protocol: str, balance: Balance, words: str, first: str):
    with lacking(protocol, words) as without, well(protocol) as url:
        urls = [without, url] if first == "lacking" else [url, without]
        with Client(urls, balance=balance, retries=NO_RETRIES) as client:
            for _ in range(10):
                assert client.infer("m", x=X, timeout_s=20).y.shape == (2,)

        async def use() -> None:
            async with AsyncClient(urls, balance=balance, retries=NO_RETRIES) as client:
                for _ in range(10):
                    assert (await client.infer("m", x=X, timeout_s=20)).y.shape == (2,)

        asyncio.run(use())


def test_a_stream_goes_to_a_server_with_the_model():
    def refuse(requests: Any, context: grpc.ServicerContext) -> Iterator[Any]:
        from tritonclient.grpc import service_pb2

        next(requests)
        yield service_pb2.ModelStreamInferResponse(error_message=UNLOADED)

    with grpc_server(stream=refuse) as without, grpc_server(doubled, stream=doubled_once) as url:
        with Client([without, url]) as client:
            for _ in range(6):
                assert [len(result.y) for result in client.stream("m", x=X, timeout_s=20)] == [2]
        with Client(without) as client, pytest.raises(ModelNotReady, match="no available versions"):
            list(client.stream("m", x=X, timeout_s=20))


def test_what_a_model_says_of_another_in_a_stream_is_its_own():
    def refuse(requests: Any, context: grpc.ServicerContext) -> Iterator[Any]:
        from tritonclient.grpc import service_pb2

        next(requests)
        yield service_pb2.ModelStreamInferResponse(error_message=UNLOADED.replace("'m'", "'other'"))

    with grpc_server(stream=refuse) as url, Client(url) as client, pytest.raises(InferenceFailed, match="'other'"):
        list(client.stream("m", x=X, timeout_s=20))


def test_a_server_with_the_model_that_is_gone_is_what_the_error_tells_of():
    replicas = Replicas(["a", "b"])
    call = attempts(replicas)
    call.failed(call.begin(), ModelNotReady("no", TARGET))
    error: ClientError = ServerUnavailable("gone", TARGET)
    replica: Replica[str] = call.begin()
    with pytest.raises(ServerUnavailable, match="gone"):
        call.failed(replica, error)
