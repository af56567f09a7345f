"""What the client does before it needs a server; with one, see the integration tests."""

from __future__ import annotations

import asyncio
import copy
import json
import os
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import tritonforge.client
from tritonforge.client import (
    AsyncClient,
    Breaker,
    Client,
    ConnectionOptions,
    DeadlineExceeded,
    InferenceFailed,
    InvalidRequest,
    Retries,
    ServerUnavailable,
)
from tritonforge.client.concurrency.blocking import finish, iterate
from tritonforge.client.deadline import Deadline
from tritonforge.client.errors import Target
from tritonforge.client.http.events import read_event
from tritonforge.client.message import Request
from tritonforge.client.questions import Question
from tritonforge.client.shared_memory.segments import PREFIX
from tritonforge.client.stub import Stub, only
from tritonforge.ir import Signature

from .fault_server import FaultServer, Peer, free_port
from .small_servers import METADATA, answer_question, grpc_server, ok, serve_model


def test_importing_and_using_http_imports_no_grpc():
    script = (
        "import sys, tritonforge.client; assert 'numpy' not in sys.modules\n"
        "tritonforge.client.Client('http://127.0.0.1:1').is_ready()\n"
        "assert not {'grpc', 'tritonclient', 'torch', 'onnx'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)


def test_all_public_names_are_there():
    for name in tritonforge.client.__all__:
        assert getattr(tritonforge.client, name).__name__ == name
    with pytest.raises(AttributeError, match="Nothing"):
        _ = tritonforge.client.Nothing


@pytest.mark.parametrize("timeout_s", [0, -1, float("nan"), float("inf")])
def test_a_timeout_that_is_none_is_refused(timeout_s):
    with pytest.raises(ValueError, match="timeout_s"):
        Client("http://127.0.0.1:1", timeout_s=timeout_s)
    with pytest.raises(ValueError, match="timeout_s"):
        Client("http://127.0.0.1:1").infer("m", timeout_s=timeout_s)


@pytest.mark.parametrize("version", ["x", "-1", -1, "1.5", "²", True, None])
def test_a_version_that_is_none_is_refused(version):
    with pytest.raises(ValueError, match="a whole number, 0 or above"):
        Client("http://127.0.0.1:1").infer("m", version=version)


@pytest.mark.parametrize("version", ["0", 0, 1, "9223372036854775807"])
def test_a_version_of_any_folder_goes_to_the_server(version):
    with pytest.raises(ServerUnavailable) as refused:
        Client("http://127.0.0.1:1").infer("m", version=version)
    assert refused.value.target.version == str(version)


def test_inputs_given_twice_or_not_by_name_are_refused():
    client = Client("http://127.0.0.1:1")
    with pytest.raises(InvalidRequest, match='"x" is given twice'):
        client.infer("m", {"x": 1}, x=1)
    with pytest.raises(InvalidRequest, match="takes a mapping of names to arrays"):
        client.infer("m", [1, 2])


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("fraud", r'call\(\) takes a definition; for a model by its name: client\.infer\("fraud", …\)'),
        (len, "such as @model and @pipeline make, not <built-in function len>"),
        (1, "make, not int"),
    ],
)
def test_what_is_no_definition_is_not_called(given, message):
    with pytest.raises(TypeError, match=message):
        Client("http://127.0.0.1:1").call(given)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"timeout_s": "5"}, TypeError, r"timeout_s is '5'; it must be a finite number of seconds above 0"),
        (
            {"timeout_s": np.array([2, 2])},
            TypeError,
            r'seconds above 0; an input of the name "timeout_s" goes by position',
        ),
        ({"timeout_s": np.array([2])}, TypeError, r'or in inputs=\{"timeout_s": …\}'),
        ({"version": np.array([2, 2])}, ValueError, r'0 or above; an input of the name "version" goes by position'),
        ({"request_id": np.array([2, 2])}, TypeError, r'a text; an input of the name "request_id" goes by position'),
        ({"parameters": [1]}, TypeError, "parameters is a list; it takes a mapping"),
        ({"parameters": {"a": [1]}}, TypeError, 'the parameter "a" is a list; the protocol has bool, int, float and'),
        ({"parameters": {1: 1}}, TypeError, "the parameter 1 has an int for its name"),
        ({"parameters": {"sequence_id": 5}}, ValueError, r'"sequence_id" is of sequences: client\.sequence\(…\), or'),
        (
            {"parameters": {"binary_data_output": False}},
            ValueError,
            '"binary_data_output" has a name that Triton takes',
        ),
        ({"parameters": {"triton_x": 1}}, ValueError, '"triton_x" has a name that Triton takes for itself'),
        ({"parameters": {"a": float("nan")}}, ValueError, 'the parameter "a" is nan; it is a finite number'),
        ({"parameters": {"a": 1 << 63}}, ValueError, 'the parameter "a" is 9223372036854775808; an integer .* 64 bits'),
        ({"parameters": {"a": "\ud800"}}, ValueError, r'the parameter "a" is .\\ud800., which has no form in UTF-8'),
        ({"parameters": {"\ud800": 1}}, ValueError, r"a parameter's name is .\\ud800., which has no form in UTF-8"),
        ({"sequence_id": "\ud800"}, ValueError, "sequence_id is .* no form in UTF-8"),
        (
            {"sequence_id": "a\0b"},
            ValueError,
            r"sequence_id is 'a\\x00b': Triton takes it for what comes before the NUL",
        ),
        ({"parameters": {"a\0b": 1}}, ValueError, r"a parameter's name is 'a\\x00b': Triton takes it for what"),
        ({"parameters": {"a": "b\0"}}, ValueError, r"""the parameter "a" is 'b\\x00': Triton takes it for what"""),
        ({"parameters": {"priority": -1}}, ValueError, 'the parameter "priority" is -1; it is a level .*, 0 or more'),
        ({"parameters": {"timeout": 1.5}}, TypeError, 'the parameter "timeout" is a float; .* microseconds, an int'),
        ({"parameters": {"timeout": True}}, TypeError, 'the parameter "timeout" is a bool; .*, an int'),
        ({"top": {"y": 1 << 31}}, ValueError, 'top\\["y"\\] is 2147483648; .* wanted, 1 to 2147483647'),
        ({"sequence_start": True}, ValueError, "give sequence_id= too"),
        ({"sequence_id": 1.5}, TypeError, "sequence_id is a float; it is a text, or a number above 0"),
        ({"sequence_id": b"a"}, TypeError, "sequence_id is a bytes; it is a text"),
        ({"sequence_id": np.bool_(True)}, TypeError, "sequence_id is .*; it is a text"),
        ({"sequence_id": True}, ValueError, "sequence_id is True; it is a text"),
        ({"sequence_id": np.int64(0)}, ValueError, "sequence_id is 0; .* a number above 0"),
        ({"parameters": {"priority": np.float32(1)}}, TypeError, 'the parameter "priority" is a float; .*, an int'),
        ({"parameters": {"a": np.complex64(1)}}, TypeError, 'the parameter "a" is a complex64; the protocol has bool'),
        ({"inputs": np.ones((1, 5))}, InvalidRequest, "inputs is a ndarray; it takes a mapping of names to arrays"),
        ({"inputs": []}, InvalidRequest, "inputs is a list; it takes a mapping"),
        ({"top": 3}, TypeError, r'top is 3; .*: top=\{"scores": 3\}'),
        ({"outputs": "name"}, TypeError, r'outputs is "name"; it takes a list of names: outputs=\["name"\]'),
        ({"outputs": "name", "top": {"name": 1}}, TypeError, r'outputs is "name"; it takes a list of names'),
        ({"outputs": []}, ValueError, "outputs is empty; .* left out it gives all"),
        ({"outputs": iter(())}, ValueError, "outputs is empty"),
        ({"outputs": 3}, TypeError, "outputs is an int; it takes a list of names"),
        ({"outputs": [3]}, TypeError, "outputs has an int; it takes a list of names"),
    ],
)
def test_arguments_of_a_wrong_type_are_refused_in_one_line(arguments, error, message):
    client = Client("http://127.0.0.1:1")
    with pytest.raises(error, match=message):
        client.infer("m", **arguments)
    if arguments.keys() <= {"timeout_s", "version", "request_id"}:
        with pytest.raises(error, match=message):
            client.call(Stub("m", Signature((), (), batched=False), only), **arguments)


@pytest.mark.parametrize(
    ("model", "error", "message"),
    [
        (
            Stub("m", Signature((), (), batched=False), only),
            TypeError,
            'name is wanted, not a Stub; give its name: "m"',
        ),
        (["m"], TypeError, r"not a list; such as client\.models\(\) lists"),
        ("\ud800", ValueError, r"the model's name is '\\ud800', which has no form in UTF-8: surrogates not allowed"),
        ("a\0b", ValueError, r"the model's name is 'a\\x00b': Triton takes it for what comes before the NUL"),
        ("a/b", ValueError, "the model's name is 'a/b': it is that of a folder, with no / in it"),
    ],
)
@pytest.mark.parametrize(
    "use",
    [
        lambda client, model: client.infer(model),
        lambda client, model: client.infer(model, top={"y": 1}),
        lambda client, model: client.describe(model),
        lambda client, model: client.is_ready(model),
        lambda client, model: client.wait_ready(model),
        lambda client, model: client.config(model),
        lambda client, model: client.generate(model),
        lambda client, model: list(client.generate_stream(model)),
        lambda client, model: client.admin.statistics(model),
        lambda client, model: client.admin.load(model),
    ],
)
def test_what_is_no_name_of_a_model_is_refused_wherever_one_is_wanted(use, model, error, message):
    with pytest.raises(error, match=message):
        use(Client("http://127.0.0.1:1"), model)


def test_numbers_of_numpy_are_ids_of_sequences_and_parameters():
    bodies = []

    def serve(peer: Peer) -> None:
        while request := peer.request():
            if request.startswith(b"POST"):
                bodies.append(json.loads(request.partition(b"\r\n\r\n")[2].partition(b"\0")[0])["parameters"])
            answer_question(peer, request)

    given = {"a": np.int64(5), "b": np.float32(0.5), "c": np.bool_(True), "d": np.str_("e"), "priority": np.uint8(1)}
    x = np.zeros(2, np.float32)
    with FaultServer(serve) as server, Client(server.url) as client:
        client.infer("m", x=x, parameters=given, sequence_id=np.int64(7))
        with client.sequence("m", sequence_id=np.int32(8)) as sequence:
            sequence.infer(x=x, parameters=given)
            assert type(sequence.id) is int
    plain = {"a": 5, "b": 0.5, "c": True, "d": "e", "priority": 1}
    sent = [{name: value for name, value in body.items() if name != "binary_data_output"} for body in bodies]
    assert sent == [{**plain, "sequence_id": 7}, {**plain, "sequence_id": 8, "sequence_start": True}]


@pytest.mark.parametrize(
    "use",
    [
        lambda client, x: client.generate("m", x),
        lambda client, x: list(client.generate_stream("m", x)),
        lambda client, x: list(client.stream("m", x)),
        lambda client, x: client.sequence("m").infer(x),
    ],
)
def test_an_array_by_position_is_refused_wherever_inputs_go_by_name(use):
    with pytest.raises(InvalidRequest, match="inputs is a ndarray; it takes a mapping of names to arrays: name=array"):
        use(Client("http://127.0.0.1:1"), np.ones((1, 5), np.float32))


@pytest.mark.parametrize("model", ["m", Stub("m", Signature((), (), batched=False), only)])
def test_an_array_that_is_to_close_a_sequence_is_refused_at_once(model):
    with pytest.raises(TypeError, match="closing is a ndarray; it takes a mapping of names to arrays"):
        Client("http://127.0.0.1:1").sequence(model, closing=np.ones((1, 5)))


def test_an_id_of_a_request_that_triton_would_cut_off_is_refused_before_it_is_sent():
    with FaultServer(serve_model) as server, Client(server.url) as client:
        x = np.ones(2, np.float32)
        client.infer("m", x=x)
        for _ in range(2):  # the second is like an earlier one
            with pytest.raises(ValueError, match=r"request_id is 'r\\x00q': Triton takes it for"):
                client.infer("m", x=x, request_id="r\0q")


def test_a_request_for_classes_is_not_sent_again_where_it_may_have_been_sent():
    """Of an output without elements it ends Triton 24.10, and would end the next one."""

    def die(peer: Peer) -> None:
        while (request := peer.request()).startswith(b"GET"):
            answer_question(peer, request)
        if request:
            inferences.append(request)

    inferences: list[bytes] = []
    with FaultServer(die) as first, FaultServer(die) as second:
        for urls in (first.url, [first.url, second.url]):
            inferences.clear()
            with Client(urls) as client, pytest.raises(ServerUnavailable) as caught:
                client.infer("m", x=np.ones(2, np.float32), top={"y": 1})
            assert len(inferences) == 1
            assert caught.value.sent


@pytest.mark.parametrize("answer", [b"{}", b'{"model_stats":5}', b'{"model_stats":[5]}', b"[]", b"[" * 200_000])
def test_an_answer_of_another_form_is_told(answer):
    told = pytest.raises(ServerUnavailable, match="the answer is not Triton's")
    with (
        FaultServer(lambda peer: peer.request() and peer.send(ok(answer))) as server,
        Client(server.url) as client,
        told,
    ):
        client.admin.statistics("m")


@pytest.mark.parametrize("answer", [b"[1]", b"{}", b"[" * 200_000])
def test_a_list_of_another_form_is_told(answer):
    with FaultServer(lambda peer: peer.request() and peer.send(ok(answer))) as server, Client(server.url) as client:
        with pytest.raises(ServerUnavailable, match="the answer is not Triton's"):
            client.models()
        with pytest.raises(ServerUnavailable, match="the answer is not Triton's"):
            client.admin.shared_memory()


def test_an_event_that_nests_too_deep_is_told():
    with pytest.raises(ServerUnavailable, match="the answer is not Triton's"):
        read_event(b"[" * 200_000, Target("http://h:1", "m"))


def answer_with(*names: str) -> Callable[[Peer], None]:
    """Serve the model "m" with y alone, or whatever it names in an answer."""
    outputs = [{"name": name, "datatype": "FP32", "shape": [1], "data": [1]} for name in names]
    answer = ok(json.dumps({"model_name": "m", "outputs": outputs}).encode())

    def behave(peer: Peer) -> None:
        while request := peer.request():
            answer_question(peer, request) if request.startswith(b"GET") else peer.send(answer)

    return behave


@pytest.mark.parametrize(
    ("names", "kind", "message"),
    [
        (("y", "y"), ServerUnavailable, "the answer is not Triton's: it has an output twice"),
        ((), InferenceFailed, "the model's answer has no output 'y', as asked for"),
    ],
)
def test_outputs_that_are_not_those_asked_for_are_told(names, kind, message):
    told = pytest.raises(kind, match=message)
    with FaultServer(answer_with(*names)) as server, Client(server.url) as client, told:
        client.infer("m", x=np.ones(2, np.float32), outputs=["y"])


def answer_as(*datatypes: str) -> Callable[[Peer], None]:
    """Serve the model "m", loaded anew each time it is asked for: y has one datatype after the other, to an end."""
    metadata = [{**METADATA, "outputs": [{"name": "y", "datatype": each, "shape": [1]}]} for each in datatypes]
    output = {"name": "y", "datatype": "INT32", "shape": [1], "data": [1]}

    def behave(peer: Peer) -> None:
        while request := peer.request():
            if request.startswith(b"GET /v2/models/m "):
                if not metadata:
                    return
                peer.send(ok(json.dumps(metadata.pop(0)).encode()))
            elif request.startswith(b"GET"):
                answer_question(peer, request)
            else:
                peer.send(ok(json.dumps({"model_name": "m", "outputs": [output]}).encode()))

    return behave


def test_an_answer_of_another_datatype_is_the_models_where_it_is_declared_so_by_now():
    with FaultServer(answer_as("FP32", "INT32")) as server, Client(server.url) as client:
        assert client.infer("m", x=np.ones(2, np.float32)).y.tolist() == [1]


def test_an_answer_of_another_datatype_than_is_declared_is_the_models_failure():
    with FaultServer(answer_as("FP32", "FP32")) as server, Client(server.url) as client:
        with pytest.raises(InferenceFailed, match="its output 'y' is INT32, and declared as FP32"):
            client.infer("m", x=np.ones(2, np.float32))
        assert server.connections == 1


def test_an_answer_that_was_sent_is_told_so_where_the_model_can_not_be_asked_about_anew():
    with (
        FaultServer(answer_as("FP32"), lambda peer: None) as server,
        Client(server.url, retries=Retries(attempts=1)) as client,
        pytest.raises(ServerUnavailable) as caught,
    ):
        client.infer("m", x=np.ones(2, np.float32), request_id="r-7")
    assert (caught.value.request_id, caught.value.sent) == ("r-7", True)


@pytest.mark.parametrize("version", ["", 2])
def test_an_error_before_a_models_first_call_is_the_calls(version):
    """The question about the model may have been sent; nothing of the inference was."""
    with FaultServer(lambda peer: peer.request()) as server, Client(server.url) as client:
        with pytest.raises(ServerUnavailable) as caught:
            client.infer("m", x=np.ones(2, np.float32), request_id="r-7", version=version)
        assert server.connections > 1
    error = caught.value
    assert (error.request_id, error.model, error.version, error.sent) == ("r-7", "m", str(version), False)


def test_an_error_of_generate_has_the_id_of_its_request():
    with Client("http://127.0.0.1:1") as client, pytest.raises(ServerUnavailable) as caught:
        client.generate("m", {"x": 1}, request_id="r-7")
    assert caught.value.request_id == "r-7"


UNAVAILABLE = b'HTTP/1.1 503 Service Unavailable\r\nContent-Length: 16\r\n\r\n{"error":"full"}'


def test_what_is_generated_is_asked_for_again_where_the_server_is_unavailable():
    def full_once(peer: Peer) -> None:
        peer.request()
        peer.send(UNAVAILABLE)

    def generate(peer: Peer) -> None:
        peer.request()
        peer.send(ok(b'{"y":1}'))

    with FaultServer(full_once, generate) as server, Client(server.url) as client:
        assert client.generate("m", x=1) == {"y": 1}
        assert server.connections == 2
    with FaultServer(full_once, generate) as server, Client(server.url) as client:
        with pytest.raises(ServerUnavailable, match="full"):
            client.generate("m", x=1, sequence_id=5)  # it may have changed a state
        assert server.connections == 1


def test_what_has_begun_to_come_is_not_asked_for_again():
    def stream_half(peer: Peer) -> None:
        peer.request()
        event = b'data: {"y":1}\n\n'
        peer.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n" % (len(event), event))
        peer.reset()

    with FaultServer(stream_half) as server, Client(server.url) as client:
        answers = client.generate_stream("m", x=1)
        assert next(answers) == {"y": 1}
        with pytest.raises(ServerUnavailable):
            next(answers)
        assert server.connections == 1


def refusing(status: int, body: bytes) -> Callable[[Peer], None]:
    def refuse(peer: Peer) -> None:
        while peer.request():
            peer.send(b"HTTP/1.1 %d No\r\nContent-Length: %d\r\n\r\n%b" % (status, len(body), body))

    return refuse


def test_what_a_model_says_in_place_of_its_first_event_is_its_own_and_has_no_code():
    with FaultServer(refusing(400, b'data: {"error":"sorry"}\n\n')) as server, Client(server.url) as client:
        with pytest.raises(InferenceFailed, match="sorry") as caught:
            list(client.generate_stream("m", x=1))
        assert caught.value.code == ""
    with FaultServer(refusing(400, b'{"error":"no input"}')) as server, Client(server.url) as client:
        with pytest.raises(InvalidRequest, match="no input") as refused:
            list(client.generate_stream("m", x=1))
        assert refused.value.code == "400"


@pytest.mark.parametrize(
    "use",
    [
        lambda client: client.infer("m", x=np.ones(2, np.float32)),
        lambda client: client.generate("m", x=1),
        lambda client: client.config("m"),
        lambda client: client.server(),
    ],
)
def test_a_path_that_the_server_has_not_is_no_failure_of_a_model(use):
    with FaultServer(refusing(404, b'{"error":"Not Found"}')) as server, Client(f"{server.url}/x") as client:
        with pytest.raises(
            ServerUnavailable, match=r"without this endpoint: HTTP 404: Not Found; .* path /x"
        ) as caught:
            use(client)
        assert (caught.value.foreign, caught.value.code) == (True, "404")
        assert server.connections == 1  # it would say the same again


def generating(peer: Peer) -> None:
    """Answer as `serve_model` does, and an event to what is to be generated."""
    while request := peer.request():
        if b"/generate" in request:
            peer.send(ok(b'data: {"y":1}\n\n' if b"/generate_stream" in request else b'{"y":1}'))
        else:
            answer_question(peer, request)


class Ticks:
    """A definition."""

    name, signature = "m", Signature((), (), batched=False)

    def wrap(self, outputs: dict[str, np.ndarray]) -> None:
        """Give nothing."""


@pytest.mark.parametrize("model", ["m", Ticks()])
@pytest.mark.parametrize("also", [[], ["http://127.0.0.1:1"]])
def test_that_streams_are_not_over_http_is_said_before_mistakes_in_the_inputs(model, also):
    words = (
        "Triton streams tensors over gRPC only; give the client the server's gRPC URL, such as grpc://127.0.0.1:8001"
    )

    async def main(urls: list[str]) -> None:
        async with AsyncClient(urls) as client:
            with pytest.raises(InvalidRequest) as caught:
                _ = [response async for response in client.stream(model, request_id="r-7", n=1)]
            assert caught.value.reason == words

    with FaultServer(serve_model) as server:
        urls = [server.url, *also]
        asyncio.run(main(urls))
        with Client(urls) as client, pytest.raises(InvalidRequest) as caught:
            list(client.stream(model, request_id="r-7", n=1))
        assert (caught.value.reason, caught.value.model, caught.value.request_id) == (words, "m", "r-7")
        assert not server.connections


def test_of_several_servers_those_are_asked_whose_protocol_has_it():
    x = np.ones(2, np.float32)
    with (
        FaultServer(*[generating] * 40) as server,
        grpc_server() as url,
        Client([server.url, url, server.url]) as client,
    ):
        for _ in range(5):
            assert [answer.y.tolist() for answer in client.stream("m", x=x)] == [[1, 1]]
            assert client.generate("m", x=1) == {"y": 1}
            assert list(client.generate_stream("m", x=1)) == [{"y": 1}]


@pytest.mark.parametrize(
    ("scheme", "use", "message"),
    [
        ("http", lambda client: client.stream("m", x=np.ones(2, np.float32)), "give the client the server's gRPC URL"),
        ("grpc", lambda client: client.generate_stream("m", x=1), "give the client the server's HTTP URL"),
    ],
)
def test_what_no_server_has_over_its_protocol_is_refused(scheme, use, message):
    with FaultServer(*[serve_model] * 4) as server:
        client = Client([f"{scheme}://{server.url[7:]}"] * 2)
        with client, pytest.raises(InvalidRequest, match=message):
            list(use(client))


def test_where_those_that_have_it_are_left_alone_no_other_is_asked():
    urls = [f"grpc://127.0.0.1:{free_port()}", f"http://127.0.0.1:{free_port()}"]
    with Client(
        urls, retries=Retries(attempts=1), breaker=Breaker(failures=1, pause_s=60, longest_pause_s=60)
    ) as client:
        with pytest.raises(ServerUnavailable, match="Connection refused"):
            client.generate("m", x=1)
        with pytest.raises(
            ServerUnavailable, match=r"none is made for another .* \(circuit open\): Connection refused"
        ):
            client.generate("m", x=1)


def test_an_empty_name_is_refused_but_for_the_whole_server():
    client = Client("http://127.0.0.1:1")
    for use in (client.infer, client.describe, client.metadata, client.admin.load, client.generate):
        with pytest.raises(ValueError, match="the model's name is empty"):
            use("")
    assert client.is_ready("") is False


def test_a_configuration_that_is_not_whole_is_refused_with_the_way_to_change_one():
    admin = Client("http://127.0.0.1:1", retries=Retries(attempts=1)).admin
    with pytest.raises(ValueError, match=r'has none of backend, .*: \{\*\*client\.config\("m"\), …\}'):
        admin.load("m", config={"max_batch_size": 2})
    with pytest.raises(ServerUnavailable):
        admin.load("m", config={"max_batch_size": 2, "backend": "python"})


def test_a_configuration_tells_files_apart_and_is_itself_again_without_them():
    bodies = []

    def load(peer: Peer) -> None:
        while request := peer.request():
            bodies.append(json.loads(request.partition(b"\r\n\r\n")[2])["parameters"])
            peer.send(ok(b""))

    def sent(**files: bytes) -> dict:
        client.admin.load("m", config=config, files=files)
        return json.loads(bodies[-1]["config"])

    config = {"backend": "python", "parameters": {"a": {"string_value": "b"}}}
    with FaultServer(load) as server, Client(server.url) as client:
        assert sent() == config
        one, other, named = sent(x=b"1"), sent(x=b"2"), sent(y=b"1")
        marks = {sent["parameters"].pop("tritonforge_files")["string_value"] for sent in (one, other, named)}
        assert len(marks) == 3
        assert one == other == named == config
        config = {"backend": "python", "parameters": {"tritonforge_files": {"string_value": "old"}}}
        assert sent() == {"backend": "python"}
        assert sent(x=b"1")["parameters"]["tritonforge_files"]["string_value"] in marks


@pytest.mark.parametrize(
    ("use", "error", "message"),
    [
        (
            lambda admin: admin.load("m", config="name: x"),
            TypeError,
            r'config is a str; .* client\.config\("m"\) gives',
        ),
        (
            lambda admin: admin.load("m", files={"x": 3}),
            TypeError,
            r'files\["x"\] is an int; it takes the bytes of the',
        ),
        (lambda admin: admin.load("m", files=[b"x"]), TypeError, "files is a list; it takes a mapping"),
        (lambda admin: admin.load("m", files={"1/x": b""}), ValueError, r'a config, .*config=client\.config\("m"\)'),
        *(
            (
                lambda admin, path=path: admin.load("m", config={"backend": "python"}, files={"1/x": b"", path: b""}),
                ValueError,
                f'files has "{path}", which is no file in the model\'s folder; such as',
            )
            for path in ("../x", "1/../../x", "/etc/x", "", ".", "1/..")
        ),
        (lambda admin: admin.log_settings({"nope": 1}), ValueError, "no setting 'nope'; there are: log_file, log_info"),
        (lambda admin: admin.log_settings({"log_info": 1}), TypeError, "log_info is an int; it takes bool"),
        (lambda admin: admin.log_settings({"log_verbose_level": True}), TypeError, "level is a bool; it takes int"),
        (lambda admin: admin.log_settings({"log_verbose_level": -5}), ValueError, "log_verbose_level is -5; .* from 0"),
        (
            lambda admin: admin.log_settings({"log_verbose_level": 1 << 32}),
            ValueError,
            "is 4294967296; .* to 4294967295",
        ),
        (lambda admin: admin.trace_settings({"trace_rate": -5}), ValueError, "trace_rate is -5; .* requests from 0 to"),
        (lambda admin: admin.log_settings({"log_format": "x"}), ValueError, "'x'; it may be default or ISO8601"),
        (lambda admin: admin.trace_settings({"nope": 1}), ValueError, "no setting 'nope'; there are: trace_level, tr"),
        (
            lambda admin: admin.trace_settings({"trace_level": "x"}),
            ValueError,
            "trace_level has 'x'; it may have OFF, ",
        ),
        (lambda admin: admin.trace_settings([1]), TypeError, "trace_settings takes a mapping of changes, not a list"),
    ],
)
def test_what_an_administrator_can_not_mean_is_refused(use, error, message):
    with pytest.raises(error, match=message):
        use(Client("http://127.0.0.1:1").admin)


def test_what_is_neither_a_name_nor_a_definition_has_no_sequence_and_no_map():
    client = Client("http://127.0.0.1:1")
    with pytest.raises(TypeError, match=r"sequence\(\) takes a definition"):
        client.sequence(5)
    with pytest.raises(TypeError, match=r"map\(\) takes a definition"):
        client.map(len, [])


@pytest.mark.parametrize("url", ["http://127.0.0.1:", "127.0.0.1:", "grpc://[::1]:"])
@pytest.mark.parametrize("kind", [Client, AsyncClient])
def test_a_url_whose_port_is_empty_is_refused(kind, url):
    with pytest.raises(ValueError, match="has no port behind its colon, as of a variable that isn't set; wanted"):
        kind(url)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"url": 5}, "url is 5; a client takes one"),
        ({"url": [5]}, "5 is not a URL; wanted http://host:port"),
        ({"options": {}}, r"options is a dict; it takes ConnectionOptions, as in options=ConnectionOptions\("),
        ({"retries": 3}, r"retries is an int; it takes Retries, as in retries=Retries\(attempts=3\)"),
        ({"breaker": 3}, r"breaker is an int; it takes Breaker, as in"),
        ({"metrics": "yes"}, "metrics is 'yes'; it takes True, False, or a CollectorRegistry"),
        ({"tracing": "yes"}, "tracing is 'yes'; it takes None, True, False, or a TracerProvider"),
        ({"timeout_s": "5"}, "timeout_s is '5'"),
    ],
)
@pytest.mark.parametrize("kind", [Client, AsyncClient])
def test_settings_of_a_wrong_type_are_refused_in_one_line(kind, settings, message):
    with pytest.raises(TypeError, match=message):
        kind(**{"url": "http://127.0.0.1:1", **settings})


@pytest.mark.parametrize(
    ("headers", "message"),
    [
        ({"x-tenant": 5}, "the header x-tenant: its value is of type int; it must be a text"),
        ({5: "a"}, "the header 5: its name is of type int"),
        ("a", "headers is of type str; it takes a mapping"),
    ],
)
def test_headers_of_a_wrong_type_are_refused_in_one_line(headers, message):
    with pytest.raises(TypeError, match=message):
        ConnectionOptions(headers=headers)


@pytest.mark.parametrize("scheme", ["http", "grpc"])
def test_a_server_that_is_down(scheme):
    with Client(f"{scheme}://127.0.0.1:{free_port()}") as client:
        assert client.is_ready() is False
        assert client.is_ready("m") is False
        with pytest.raises(ServerUnavailable, match=r"onnection refused; is the server up\? tritonforge up"):
            client.infer("m")
        with pytest.raises(DeadlineExceeded, match=r"not ready within 1 s: .*[Cc]onnection refused"):
            client.wait_ready(timeout_s=1)


def test_a_server_that_speaks_no_tls_is_told_apart():
    def hang_up(peer: Peer) -> None:
        """Close the connection at once."""

    with FaultServer(hang_up) as server:
        url = f"https://127.0.0.1:{server.port}"
        with Client(url) as client, pytest.raises(ServerUnavailable, match="That speaks no TLS: use http://"):
            client.infer("m")

        async def main() -> None:
            async with AsyncClient(url) as client:
                with pytest.raises(ServerUnavailable, match="That speaks no TLS: use http://"):
                    await client.infer("m")

        asyncio.run(main())


@pytest.mark.parametrize("data", [b"", b"HTTP/1.1 400 Bad Request\r\n\r\n"])
def test_nothing_was_sent_where_tls_fails(data):
    with FaultServer(lambda peer: peer.send(data)) as server:
        url = f"https://127.0.0.1:{server.port}"
        with Client(url) as client, pytest.raises(ServerUnavailable, match="speaks no TLS") as blocking:
            client.infer("m")

        async def main() -> ServerUnavailable:
            async with AsyncClient(url) as client:
                with pytest.raises(ServerUnavailable, match="speaks no TLS") as caught:
                    await client.infer("m")
            return caught.value

        assert not blocking.value.sent
        assert not asyncio.run(main()).sent


def test_a_host_without_an_address_was_sent_nothing():
    with Client("http://no-such-host.invalid:1") as client, pytest.raises(ServerUnavailable) as caught:
        client.infer("m")
    assert not caught.value.sent
    assert caught.value.kind == "ServerUnavailable (gaierror)"


@pytest.mark.parametrize("scheme", ["http", "grpc"])
def test_a_server_that_says_nothing(scheme):
    with FaultServer(Peer.hold) as server, Client(f"{scheme}://127.0.0.1:{server.port}", timeout_s=0.2) as client:
        assert client.is_ready() is False
        with pytest.raises(DeadlineExceeded):
            client.infer("m")
        with pytest.raises(DeadlineExceeded, match=r"not ready within 0\.2 s: it answers nothing"):
            client.wait_ready("m")


@pytest.mark.parametrize("kind", [Client, AsyncClient])
@pytest.mark.parametrize("copied", [pickle.dumps, copy.copy, copy.deepcopy])
def test_a_client_is_not_copied(kind, copied):
    with pytest.raises(TypeError, match=r"Client\('http://127\.0\.0\.1:1', .* holds connections, .*: make one in each"):
        copied(kind("http://127.0.0.1:1"))


def test_a_closed_client_says_so():
    with Client("http://127.0.0.1:1") as client:
        assert repr(client) == "Client('http://127.0.0.1:1', timeout_s=30)"
    with pytest.raises(RuntimeError, match="closed"):
        client.models()


def test_a_closed_client_makes_no_shared_arrays():
    client = Client("http://127.0.0.1:1")
    client.close()
    closed = r"the client of http://127\.0\.0\.1:1 is closed"
    with pytest.raises(RuntimeError, match=closed), client.shared(x=((3,), "f4")):
        pass

    async def main():
        asynchronous = AsyncClient("http://127.0.0.1:1")
        await asynchronous.close()
        async with asynchronous.shared(x=((3,), "f4")):
            pass

    with pytest.raises(RuntimeError, match=closed):
        asyncio.run(main())
    assert not list(Path("/dev/shm").glob(f"{PREFIX}{os.getpid()}_*"))


NO_TEXT = "\ud800"
BAD = {"tenant": 1 << 63}


@pytest.mark.parametrize("scheme", ["http", "grpc"])
def test_a_request_that_can_not_be_written_is_no_failure_of_the_servers(scheme):
    """Whatever has passed the checks of arguments: it is neither sent, nor tried again, nor held against the server."""
    with Client(f"{scheme}://127.0.0.1:{free_port()}") as client:
        transport = client._assembly.transport
        for request in (Request("m", (), id=NO_TEXT), Request(NO_TEXT, ()), Request("m", (), parameters=BAD)):
            if scheme == "http" and request.model == "m":
                continue  # JSON has a form for these
            with pytest.raises(ValueError, match=r"surrogates|range"):
                finish(transport.infer(request, Deadline(20)))
            if scheme == "grpc":
                with pytest.raises(ValueError, match=r"surrogates|range"):
                    list(iterate(transport.stream(request, Deadline(20))))
        if scheme == "http":
            with pytest.raises(ValueError, match="surrogates"):
                list(iterate(transport.events(Question("generate", NO_TEXT, "", {"x": 1}), Deadline(20))))
        assert client._assembly.reliable.replicas.all[0].failures == 0


@pytest.mark.parametrize("scheme", ["http", "grpc"])
def test_nor_is_it_in_a_loop(scheme):
    async def main() -> None:
        async with AsyncClient(f"{scheme}://127.0.0.1:{free_port()}") as client:
            transport = client._assembly.transport
            with pytest.raises(ValueError, match="surrogates"):
                await transport.infer(Request(NO_TEXT, ()), Deadline(20))
            items = (
                transport.events(Question("generate", NO_TEXT, "", {"x": 1}), Deadline(20))
                if scheme == "http"
                else transport.stream(Request("m", (), parameters=BAD), Deadline(20))
            )
            with pytest.raises(ValueError, match=r"surrogates|range"):
                await anext(items)
            assert client._assembly.reliable.replicas.all[0].failures == 0

    asyncio.run(main())


def test_a_header_of_bytes_is_refused_over_grpc_alone():
    options = ConnectionOptions(headers={"X-bin": "ab"})
    Client("http://127.0.0.1:1", options=options).close()
    for kind in (Client, AsyncClient):
        with pytest.raises(ValueError, match="the header X-bin can't go over gRPC: names in -bin are those of bytes"):
            kind("grpc://127.0.0.1:1", options=options)


@pytest.mark.parametrize(
    ("shape", "error", "message"),
    [
        ((-1,), ValueError, r"x: its shape is \[-1\]; a shared array has a fixed size"),
        ((1.5,), TypeError, r"x: its shape is \(1\.5,\); it takes whole numbers"),
        (64, TypeError, r"x: its shape is 64; it takes whole numbers"),
        ((1 << 50,), OSError, "/dev/shm has no room for shared arrays of 4503599627370496 bytes"),
        ((1 << 70,), OSError, "/dev/shm has no room for shared arrays of "),
    ],
)
def test_shapes_that_no_shared_array_can_have_are_refused(shape, error, message):
    with Client("http://127.0.0.1:1") as client, pytest.raises(error, match=message), client.shared(x=(shape, "f4")):
        pass


def test_what_is_shown_of_options_holds_no_secrets():
    shown = repr(ConnectionOptions(token="s3cret", headers={"x-key": "hidden"}, compression="gzip"))
    assert shown == "ConnectionOptions(headers={'x-key': …}, token=…, compression='gzip')"
    assert repr(ConnectionOptions()) == "ConnectionOptions()"


def test_a_token_that_is_no_text_is_refused():
    with pytest.raises(TypeError, match="token is an int; it takes a text, or a function that gives one"):
        ConnectionOptions(token=3)


def describing(dims: bytes, optional: bytes):
    """Describe a model whose metadata and configuration are of one server's own."""

    def serve(peer: Peer) -> None:
        tensor = b'{"name":"x","datatype":"FP32","shape":[%b]}' % dims
        config = b'{"max_batch_size":0,"input":[{"name":"x","data_type":"TYPE_FP32","dims":[%b]%b}],"output":[]}'
        while request := peer.request():
            body = (
                config % (dims, optional)
                if b"/config " in request
                else b'{"name":"m","inputs":[%b],"outputs":[]}' % tensor
            )
            peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))

    return serve


def test_what_is_known_of_a_model_is_from_one_of_several_servers():
    with (
        FaultServer(describing(b"3", b"")) as one,
        FaultServer(describing(b"4", b',"optional":true')) as other,
        Client([one.url, other.url], shared_memory=False) as client,
    ):
        signatures = {str(client.describe("m").signature) for _ in range(4)}
    assert signatures in ({"(x: FP32[3]) -> ()"}, {"(x: FP32[4] | None) -> ()"})


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Client("http://h:1", timeout_s=True), "timeout_s is True; it must be a finite number of seconds"),
        (
            lambda: Client("http://h:1", shared_memory="x"),
            "shared_memory is a str; it takes bool, as in shared_memory=",
        ),
        (lambda: Retries(attempts="x"), "attempts is 'x'; it takes a whole number"),
        (lambda: Retries(budget="x"), "budget is 'x'; it takes a number"),
        (lambda: Breaker(failures=1.5), "failures is 1.5; it takes a whole number"),
        (lambda: ConnectionOptions(max_connections="9"), "max_connections is '9'; it takes a whole number"),
        (lambda: ConnectionOptions(keepalive_s=True), "keepalive_s is True; it takes a number"),
        (
            lambda: Client("http://127.0.0.1:1").shared(x=np.zeros(3)).__enter__(),
            r"x is a ndarray; it takes a shape and a dtype, as in x=\(\(64, 20\), np.float32\)",
        ),
    ],
)
def test_a_setting_of_a_wrong_type_is_told(make, message):
    with pytest.raises(TypeError, match=message):
        make()
