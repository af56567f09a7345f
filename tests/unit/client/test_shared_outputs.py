"""Large outputs through shared memory: nothing comes but what would have come over the wire, and no call runs twice
unless it may."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tritonforge.client import Client, Retries
from tritonforge.client.concurrency.blocking import finish
from tritonforge.client.deadline import Deadline
from tritonforge.client.errors import DeadlineExceeded, InferenceFailed, InvalidRequest, ServerUnavailable, Target
from tritonforge.client.message import Headers, Request, Response, Tensor
from tritonforge.client.questions import Question
from tritonforge.client.shared_memory.arena import LEAST_BYTES
from tritonforge.client.shared_memory.transport import SharedMemoryTransport

BIG = LEAST_BYTES
REQUEST = Request("m", (Tensor("x", "UINT8", (1,), b"1"),))


class Server:
    """A transport to a server with a model of some outputs, which answers with those of so many bytes."""

    url = "http://127.0.0.1:8000"

    def __init__(self) -> None:
        self.outputs: tuple[str, ...] = ("a", "b")
        self.answers = {"a": BIG}
        self.runs = 0
        self.placed: set[str] = set()
        self.failure: Exception | None = None
        self.shape_in_memory: tuple[int, ...] | None = None
        self.asked: dict[str, Headers] = {}

    async def ask(self, question: Question, deadline: Deadline) -> Any:
        self.asked[question.subject] = question.headers
        if question.subject == "model_metadata":
            if self.failure is not None:
                raise self.failure
            return {"outputs": [{"name": name} for name in self.outputs]}
        return [] if question.subject == "shared_memory" else None

    async def infer(self, request: Request, deadline: Deadline) -> Response:
        self.runs += 1
        self.placed = set(request.into)
        outputs = []
        for name, size in self.answers.items():
            if name not in (request.outputs or self.outputs):
                continue
            place = request.into.get(name)
            if place is not None and place.size < size:  # as Triton 24.10 says it
                words = (
                    f"shared memory size specified with the request for output '{name}' ({place.size} bytes) "
                    f"should be at least {size} bytes to hold the results"
                )
                raise InferenceFailed(words, Target(self.url, request.model))
            shape = self.shape_in_memory if place and self.shape_in_memory else (size,)
            outputs.append(Tensor(name, "UINT8", shape, b"" if place else bytes(size)))
        return Response("m", "1", "", tuple(outputs), {})

    async def sleep(self, seconds: float) -> None:
        pass

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


def sizes(transport: SharedMemoryTransport, request: Request = REQUEST) -> dict[str, int]:
    """Infer, and give the bytes of each output that came."""
    response = finish(transport.infer(request, Deadline(20)))
    return {tensor.name: len(tensor.data) for tensor in response.outputs}


def test_outputs_that_were_not_in_an_answer_come_when_they_are(server, transport):
    for answers in ({"a": BIG}, {"a": BIG, "b": 3}, {"a": BIG}, {"a": BIG, "b": 3}):
        server.answers = answers
        assert sizes(transport) == answers
    assert server.placed == {"a"}


def test_an_output_that_a_model_has_since_it_was_loaded_anew_comes(server, transport):
    server.outputs = ("a",)
    assert [sizes(transport) for _ in range(2)] == [{"a": BIG}] * 2
    server.outputs, server.answers = ("a", "b"), {"a": BIG, "b": 2 * BIG}
    assert sizes(transport) == server.answers
    assert sizes(transport) == server.answers
    assert server.placed == {"a", "b"}


def test_what_is_asked_for_a_request_has_its_headers(server, transport):
    sizes(transport)
    assert sizes(transport, REQUEST._replace(headers=(("x-tenant", "a"),))) == {"a": BIG}
    asked = {subject: server.asked[subject] for subject in ("model_metadata", "register_shared_memory")}
    assert asked == dict.fromkeys(asked, (("x-tenant", "a"),))


@pytest.mark.parametrize("shape", [(0, 1 << 70), (1 << 70,)])
def test_an_answered_shape_may_be_beyond_any_memory(server, transport, shape):
    """What is wrong with it, whoever reads the tensor says."""
    sizes(transport)
    server.shape_in_memory = shape
    (output,) = finish(transport.infer(REQUEST, Deadline(20))).outputs
    assert server.placed == {"a"}
    assert output.shape == shape


def test_an_output_that_a_model_has_no_more_is_not_asked_for(server, transport):
    server.answers = {"a": BIG, "b": BIG}
    sizes(transport)
    server.outputs, server.answers = ("b",), {"b": BIG}
    assert sizes(transport) == {"b": BIG}
    assert server.placed == {"b"}


def test_outputs_that_the_caller_names_are_asked_for_alone(server, transport):
    server.answers = {"a": BIG, "b": BIG}
    named = REQUEST._replace(outputs=("b",))
    assert [sizes(transport, named) for _ in range(2)] == [{"b": BIG}] * 2
    assert server.placed == {"b"}


def test_sizes_are_of_the_inputs_by_name(server, transport):
    sizes(transport)
    sizes(transport, REQUEST._replace(inputs=(REQUEST.inputs[0]._replace(name="other"),)))
    assert not server.placed


@pytest.mark.parametrize("failure", [InvalidRequest, InferenceFailed], ids=["400", "500"])
def test_outputs_that_are_not_told_come_over_the_wire(server, transport, failure):
    sizes(transport)
    server.failure = failure("no metadata", Target(server.url, "m"))
    assert sizes(transport) == {"a": BIG}
    assert not server.placed


@pytest.mark.parametrize("failure", [ServerUnavailable, DeadlineExceeded])
def test_a_server_that_is_gone_when_it_is_asked_for_outputs_was_sent_nothing(server, transport, failure):
    sizes(transport)
    server.failure = failure("gone", Target(server.url, "m"))
    with pytest.raises(failure, match="gone") as caught:
        sizes(transport)
    assert (caught.value.sent, server.runs) == (False, 1)


def test_an_output_whose_size_varies_outgrows_its_place_once(server, transport):
    server.answers = {"a": BIG, "b": BIG}
    sizes(transport)
    for growth in (2, 3, 4):
        server.answers = {"a": BIG, "b": growth * BIG}
        assert sizes(transport) == server.answers
    assert (server.runs, server.placed) == (5, {"a"})


@pytest.mark.parametrize("first", [2 * BIG, 1 + BIG])
def test_an_output_that_came_smaller_is_placed_no_more(server, transport, first):
    for size in (first, BIG, 3 * BIG, BIG):
        server.answers = {"a": size}
        assert sizes(transport) == {"a": size}
    assert (server.runs, server.placed) == (4, set())


def test_steps_of_a_sequence_have_their_outputs_over_the_wire(server, transport):
    sizes(transport)
    assert sizes(transport, REQUEST._replace(parameters={"sequence_id": 7})) == {"a": BIG}
    assert not server.placed


def test_where_no_call_may_be_made_again_outputs_come_over_the_wire(server):
    transport = SharedMemoryTransport(server, may_repeat=False)  # type: ignore[arg-type]  # it has what is needed here
    for size in (BIG, 2 * BIG):
        server.answers = {"a": size}
        assert sizes(transport) == {"a": size}
    assert (server.runs, server.placed) == (2, set())
    finish(transport.close())


@pytest.mark.parametrize(
    ("retries", "may_repeat"),
    [
        (None, True),
        (Retries(attempts=1), False),
        (Retries(budget=0, burst=0), False),
        (Retries(budget=1, burst=0), True),
    ],
)
def test_retries_say_whether_a_call_may_be_made_again(retries, may_repeat):
    with Client(Server.url, retries=retries) as client:
        (shared,) = client._assembly.shared
        assert shared._may_repeat is may_repeat
