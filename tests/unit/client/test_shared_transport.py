"""Large tensors beside a transport: registrations that fail, servers that forget them, and what is left behind."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tritonforge.client.concurrency.blocking import finish
from tritonforge.client.deadline import Deadline
from tritonforge.client.errors import (
    ClientError,
    DeadlineExceeded,
    InferenceFailed,
    InvalidRequest,
    ServerUnavailable,
    Target,
)
from tritonforge.client.message import Request, Response, Tensor
from tritonforge.client.questions import Question
from tritonforge.client.shared_memory.arena import LEAST_BYTES
from tritonforge.client.shared_memory.segments import PREFIX, Segment
from tritonforge.client.shared_memory.transport import SharedMemoryTransport

BIG = np.zeros(LEAST_BYTES, np.uint8)
REQUEST = Request("m", (Tensor("x", "UINT8", BIG.shape, BIG.data),), version="2", id="r-7")
STEP = REQUEST._replace(parameters={"sequence_id": 7})


class Server:
    """A transport to a server of the test's, which knows the regions that it was told of."""

    url = "http://127.0.0.1:8000"

    def __init__(self) -> None:
        self.regions: set[str] = set()
        self.over_the_wire = 0
        self.failure: BaseException | None = None
        self.known: type[ClientError] = InvalidRequest  # over gRPC it is InferenceFailed
        self.metadata: object = {"version": "2.51.0"}
        self.in_use: set[str] = set()
        self.hangs = False
        self.unregistering: list[BaseException] = []

    async def ask(self, question: Question, deadline: Deadline) -> Any:
        if self.failure is not None:
            raise self.failure
        if question.subject == "server_metadata":
            return self.metadata
        if question.subject == "shared_memory":
            return [{"name": name} for name in self.regions]
        if question.subject == "register_shared_memory":
            if question.model in self.regions:
                words = f"shared memory region with name '{question.model}' already in manager"
                raise self.known(words, Target(self.url, question.model))
            self.regions.add(question.model)
        elif self.unregistering:
            raise self.unregistering.pop()
        elif question.model in self.in_use:
            words = f"Cannot unregister shared memory region '{question.model}', it is currently in use."
            raise InferenceFailed(words, Target(self.url, question.model))
        else:
            self.regions.discard(question.model)
        return None

    async def infer(self, request: Request, deadline: Deadline) -> Response:
        for tensor in request.inputs:
            self.over_the_wire += tensor.region is None
            if tensor.region is not None and tensor.region.name not in self.regions:
                # As Triton 24.10 says it, NOT_FOUND.
                words = f"Unable to find shared memory region: '{tensor.region.name}'"
                raise InferenceFailed(words, Target(self.url, request.model))
            if tensor.region is not None and self.hangs:
                self.in_use.add(tensor.region.name)
                raise DeadlineExceeded("no answer", Target(self.url, request.model))
        return Response("m", "1", "", (Tensor("y", "UINT8", (1,), b"1"),), {})

    async def sleep(self, seconds: float) -> None:
        self.in_use.clear()  # the model has ended

    async def close(self) -> None:
        pass


@pytest.fixture
def server() -> Server:
    return Server()


@pytest.fixture
def transport(server: Server) -> Iterator[SharedMemoryTransport]:
    transport = SharedMemoryTransport(server)  # type: ignore[arg-type]  # it has what is needed here
    yield transport
    finish(transport.close())
    assert not segments()


def segments() -> list[str]:
    return [name for name in os.listdir("/dev/shm") if name.startswith(f"{PREFIX}{os.getpid()}_")]


def infer(transport: SharedMemoryTransport, request: Request = REQUEST) -> Response:
    return finish(transport.infer(request, Deadline(20)))


@pytest.mark.parametrize("request_", [REQUEST, STEP], ids=["single", "sequence"])
def test_a_server_that_has_started_anew_is_told_of_the_memory_again(server, transport, request_):
    infer(transport, request_)
    server.regions.clear()
    infer(transport, request_)
    assert server.over_the_wire == 1
    infer(transport, request_)
    assert (server.over_the_wire, len(server.regions)) == (1, 1)


@pytest.mark.parametrize("code", ["404", "UNIMPLEMENTED"])
def test_a_server_of_the_protocol_that_has_no_such_endpoint_gets_all_over_the_wire(server, transport, code):
    failure = ServerUnavailable("no such thing", Target(server.url), foreign=True)
    failure.code = code
    server.failure = failure
    for _ in range(2):
        infer(transport)
    assert (server.over_the_wire, server.regions) == (2, set())


def test_arrays_of_the_callers_own_are_told_of_again(server, transport):
    segment = Segment(BIG.size)
    transport.arena.fix(segment)
    request = Request("m", (Tensor("x", "UINT8", BIG.shape, memoryview(segment.array)),))
    for restarted, over_the_wire in ((False, 0), (True, 1), (False, 1)):
        if restarted:
            server.regions.clear()
        infer(transport, request)
        assert server.over_the_wire == over_the_wire
    assert server.regions == {segment.name}


@pytest.mark.parametrize("known", [InvalidRequest, InferenceFailed], ids=["http", "grpc"])
def test_memory_that_the_server_knows_already_is_used(server, transport, known):
    server.known = known
    infer(transport)
    transport.arena.registered.clear()  # as where the answer to the registration was lost
    infer(transport)
    assert server.over_the_wire == 0


@pytest.mark.parametrize("kind", [ServerUnavailable, DeadlineExceeded])
def test_memory_that_a_server_can_not_be_told_of_fails_the_call_and_is_gone(server, transport, kind):
    server.failure = kind("no answer", Target(server.url, f"{PREFIX}1"))
    failures = []
    for _ in range(3):
        with pytest.raises(kind) as caught:
            infer(transport)
        failures.append(caught.value)  # whose tracebacks hold what the call had
    assert not segments()
    assert {error.target for error in failures} == {Target(server.url, "m", "2", "r-7")}
    assert all(not getattr(error, "sent", False) for error in failures)
    server.failure = None
    infer(transport)
    assert server.over_the_wire == 0


@pytest.mark.parametrize("failure", [RuntimeError("closed"), KeyboardInterrupt()])
def test_a_call_that_is_broken_off_leaves_no_memory(server, transport, failure):
    server.failure = failure
    with pytest.raises(type(failure)) as caught:
        infer(transport)
    assert caught.value is failure
    assert not segments()
    server.failure = None


def test_a_server_that_can_not_map_memory_gets_all_over_the_wire(server, transport):
    server.failure = InvalidRequest("Unable to open shared memory region", Target(server.url, "a region"))
    infer(transport)
    infer(transport)
    assert server.over_the_wire == 2
    assert not segments()
    server.failure = None


def test_closing_removes_the_memory_of_results_that_are_still_in_use(server, transport):
    async def infer_large(request: Request, deadline: Deadline) -> Response:
        data = b"" if request.into else bytes(BIG.size)
        return Response("m", "1", "", (Tensor("y", "UINT8", BIG.shape, data),), {})

    server.infer = infer_large
    infer(transport)
    kept = infer(transport).outputs[0]
    assert len(kept.data) == BIG.size
    finish(transport.close())
    assert not segments()
    assert not server.regions
    assert bytes(kept.data[:3]) == b"\0\0\0"


def test_what_the_model_itself_says_is_not_sent_again(server, transport):
    async def fail(request: Request, deadline: Deadline) -> Response:
        raise InferenceFailed("boom", Target(server.url, request.model))

    server.infer = fail
    with pytest.raises(ClientError, match="boom"):
        infer(transport)


def give_up(server: Server, transport: SharedMemoryTransport, calls: int) -> None:
    """Give up some calls whose requests go on at the server."""
    server.hangs = True
    for _ in range(calls):
        with pytest.raises(DeadlineExceeded):
            infer(transport)
    server.hangs = False


def test_memory_of_calls_that_were_given_up_is_let_go_of_when_they_have_ended(server, transport):
    give_up(server, transport, 3)
    infer(transport)
    assert len(server.regions) == 4
    server.in_use.clear()
    for _ in range(2):
        infer(transport)
    assert server.regions == transport.arena.registered


def test_memory_of_calls_that_are_all_given_up_does_not_add_up(server, transport):
    for _ in range(20):
        give_up(server, transport, 1)
        server.in_use.clear()
    assert len(server.regions) <= 2


def test_the_kept_error_of_a_call_that_was_given_up_keeps_no_memory(server, transport):
    """It has a traceback, and that the segment."""
    server.hangs = True
    with pytest.raises(DeadlineExceeded) as error:
        infer(transport)
    (name,) = server.in_use
    assert error.value.__traceback__ is not None
    assert name not in Path("/proc/self/maps").read_text()
    assert not any(name in os.readlink(file) for file in open_files())


def test_memory_of_a_closed_client_is_gone_though_somebody_keeps_it(server, transport):
    infer(transport)
    (name,) = server.regions
    kept = list(transport.arena._idle)
    finish(transport.close())
    assert kept
    assert name not in Path("/proc/self/maps").read_text()


def open_files() -> Iterator[str]:
    for file in os.listdir("/proc/self/fd"):
        path = f"/proc/self/fd/{file}"
        if os.path.lexists(path):  # but the one that lists them
            yield path


def test_closing_waits_for_what_uses_memory_still(server, transport):
    give_up(server, transport, 3)
    finish(transport.close())
    assert not server.regions


@pytest.mark.parametrize("metadata", [{"version": "2.49.0"}, {"version": "x"}, {}, None])
def test_a_server_that_does_not_know_what_is_in_use_keeps_it(server, transport, metadata):
    """It would unmap memory that a request is about to write to."""
    server.metadata = metadata
    give_up(server, transport, 2)
    server.in_use.clear()
    infer(transport)
    finish(transport.close())
    assert len(server.regions) == 2


def test_arrays_of_the_callers_own_that_a_request_uses_are_let_go_of_later(server, transport):
    segment = Segment(BIG.size)
    transport.arena.fix(segment)
    request = Request("m", (Tensor("x", "UINT8", BIG.shape, memoryview(segment.array)),))
    infer(transport, request)
    server.in_use.add(segment.name)
    finish(transport.release(segment))
    assert segment.name in server.regions
    server.in_use.clear()
    infer(transport)
    assert segment.name not in server.regions
    segment.close()


LATE = DeadlineExceeded("no answer", Target(Server.url))
BROKEN = ServerUnavailable("Connection reset by peer", Target(Server.url))


@pytest.mark.parametrize("failure", [LATE, BROKEN, asyncio.CancelledError(), KeyboardInterrupt()])
def test_a_server_that_was_asked_in_vain_to_let_go_of_memory_is_asked_again(server, transport, failure):
    give_up(server, transport, 1)
    server.in_use.clear()
    server.unregistering = [failure]
    with suppress(type(failure)):
        infer(transport)
    infer(transport)
    assert server.regions == transport.arena.registered


def test_of_memory_that_is_too_much_to_keep_none_is_forgotten(server, transport, monkeypatch):
    monkeypatch.setattr("tritonforge.client.shared_memory.arena._MOST_IDLE_BYTES", 0)
    server.unregistering = [asyncio.CancelledError()]
    with pytest.raises(asyncio.CancelledError):
        infer(transport)
    assert len(server.regions) == 1
    infer(transport)
    infer(transport)
    assert not server.regions


def test_closing_asks_again_what_was_asked_in_vain(server, transport):
    infer(transport)
    server.unregistering = [LATE, BROKEN, InferenceFailed("it is currently in use", Target(server.url))]
    finish(transport.close())
    assert not server.regions


def test_closing_does_not_wait_for_a_server_that_has_gone(server, transport, monkeypatch):
    async def sleep(seconds: float) -> None:
        raise AssertionError("it waits")

    server.sleep = sleep
    give_up(server, transport, 3)
    server.failure = ServerUnavailable("Connection refused; is the server up?", Target(server.url), sent=False)
    finish(transport.close())


def test_arrays_of_the_callers_own_that_the_server_may_know_are_let_go_of(server, transport):
    """As where the answer to the registration was lost."""
    segment = Segment(BIG.size)
    transport.arena.fix(segment)
    ask, broken = server.ask, [BROKEN]

    async def lose_an_answer(question: Question, deadline: Deadline) -> Any:
        answer = await ask(question, deadline)
        if question.subject == "register_shared_memory" and broken:
            raise broken.pop()
        return answer

    server.ask = lose_an_answer
    with pytest.raises(ServerUnavailable):
        infer(transport, Request("m", (Tensor("x", "UINT8", BIG.shape, memoryview(segment.array)),)))
    assert server.regions == {segment.name}
    finish(transport.release(segment))
    assert not server.regions
    segment.close()
