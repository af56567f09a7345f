"""The client against a real Triton, over both protocols, beside tritonclient."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import sys
import urllib.parse
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import ml_dtypes
import numpy as np
import pytest
import tritonclient.grpc
import tritonclient.http
from client_models import IDENTITY, MOODY, MORTAL, tensor, write, write_client_models
from repositories import FREE_PORTS, renewed

from tritonforge.client import (
    AsyncClient,
    Client,
    ClientError,
    DeadlineExceeded,
    InferenceFailed,
    InvalidRequest,
    ModelNotFound,
    ModelNotReady,
    ServerUnavailable,
)
from tritonforge.dtypes import DTYPES
from tritonforge.ir import Signature, TensorSpec
from tritonforge.server import Server

ONE = np.ones((1, 1), np.float32)
QUOTED = ("per%cent", "a+b@c=d:e,f")
"""Triton's Python backend takes these characters in a name; no spaces, and no letters but ASCII."""


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("client_models")
    write_client_models(folder)
    for name in QUOTED:
        write(folder, name, f"{tensor('input', 'x y')} {tensor('output', 'y y')}", IDENTITY)
    return folder


@pytest.fixture(scope="module")
def serving(repository: Path) -> Iterator[Callable[[], Server]]:
    """A server that loads and unloads on request, as some of these tests do with models of their own."""
    settings: dict[str, Any] = {"exit_timeout_s": 0, "model_control": "explicit", "restricted_apis": ()}
    with renewed(lambda: Server.embedded(repository, **FREE_PORTS, **settings)) as serving:
        yield serving


@pytest.fixture
def served(serving: Callable[[], Server]) -> Server:
    return serving()


@pytest.fixture(params=["http", "grpc"])
def client(request: pytest.FixtureRequest, served: Server) -> Iterator[Client]:
    with Client(served.http_url if request.param == "http" else served.grpc_url) as client:
        yield client


def sample(datatype: str) -> np.ndarray:
    if datatype == "BYTES":
        return np.array([["a", "ü", ""], [b"\x00\xff", b"b" * 1000, "c\n"]], object)
    if datatype == "BOOL":
        return np.array([[True, False, True], [False, False, True]])
    dtype = DTYPES[datatype].numpy
    if datatype.startswith(("FP", "BF")):
        return np.array([[0.1, -2.5, np.nan], [np.inf, -np.inf, -0.0]]).astype(dtype)
    limits = np.iinfo(dtype)
    return np.array([[limits.min, limits.max, 0], [1, 2, 3]], dtype)


def asked_by_tritonclient(served: Server, protocol: str, datatype: str, array: np.ndarray) -> np.ndarray:
    module = tritonclient.http if protocol == "http" else tritonclient.grpc
    address = urllib.parse.urlsplit(served.http_url if protocol == "http" else served.grpc_url).netloc
    config_name = "STRING" if datatype == "BYTES" else datatype
    given = module.InferInput(f"x_{config_name}", array.shape, datatype)
    given.set_data_from_numpy(array)
    with module.InferenceServerClient(address) as theirs:
        return theirs.infer("identity", [given]).as_numpy(f"y_{config_name}")


@pytest.mark.parametrize("datatype", DTYPES)
def test_every_datatype_gives_what_tritonclient_gives(served, client, datatype):
    array, config_name = sample(datatype), "STRING" if datatype == "BYTES" else datatype
    output = client.infer("identity", {f"x_{config_name}": array})[f"y_{config_name}"]
    theirs = asked_by_tritonclient(served, urllib.parse.urlsplit(client.url).scheme, datatype, array)
    assert output.shape == array.shape
    assert output.flags.writeable
    if datatype == "BYTES":
        sent = [item.encode() if isinstance(item, str) else item for item in array.ravel()]
        assert output.ravel().tolist() == theirs.ravel().tolist() == sent
    else:
        assert output.dtype == array.dtype
        assert output.tobytes() == array.tobytes() == theirs.astype(array.dtype).tobytes()


def test_a_result_has_its_outputs_in_the_order_of_the_model_or_of_the_call(client):
    given = {"x_FP32": ONE, "x_BOOL": np.array([[True]]), "x_BF16": np.ones((1, 1), ml_dtypes.bfloat16)}
    result = client.infer("identity", given, request_id="r-1")
    assert list(result.outputs) == ["y_BOOL", "y_FP32", "y_BF16"]
    assert (result.model, result.model_version, result.id) == ("identity", "1", "r-1")
    assert result.y_FP32.tolist() == [[1]]
    asked = ("y_FP32", "y_BOOL")
    for outputs in (asked, list(asked), (name for name in asked), map(str, asked)):
        fp32, boolean = client.infer("identity", given, outputs=outputs)
        assert (fp32.dtype, boolean.dtype) == (np.float32, np.bool_)


@pytest.mark.parametrize("shape", [(0,), (5,)])
def test_a_model_without_a_batch_takes_any_size_none_included(client, shape):
    numbers, strings = np.ones(shape, np.int64), np.full(shape, b"x", object)
    result = client.infer("plain", x_INT64=numbers, x_STRING=strings)
    assert result.y_INT64.tolist() == numbers.tolist()
    assert result.y_STRING.tolist() == strings.tolist()


def test_a_row_may_be_empty_but_not_the_batch(client):
    assert client.infer("identity", x_FP32=np.ones((2, 0), np.float32)).y_FP32.shape == (2, 0)
    assert client.infer("identity", x_STRING=np.empty((2, 0), object)).y_STRING.shape == (2, 0)
    with pytest.raises(InvalidRequest, match="no rows"):
        client.infer("identity", x_FP32=np.ones((0, 2), np.float32))


@pytest.mark.parametrize("strings", [np.array([["ab", "ü"]]), np.array([[b"ab", "ü".encode()]])], ids=["U", "S"])
def test_fixed_width_strings_arrive(client, strings):
    assert client.infer("identity", x_STRING=strings).y_STRING.tolist() == [[b"ab", "ü".encode()]]


def test_large_tensors_arrive_whole(client):
    array = np.random.default_rng(0).random((4, 1 << 18), np.float32)
    assert np.array_equal(client.infer("identity", x_FP32=array).y_FP32, array)
    assert np.array_equal(client.infer("identity", x_FP32=array[::2, ::3]).y_FP32, array[::2, ::3])


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ({"x_FP32": ONE.astype(float)}, r"FP64\[1, 1\] given, FP32\[batch, _\] wanted; to cast it: .*np\.float32"),
        ({"x_FP32": np.ones((9, 1), np.float32)}, "a batch of 9 rows; max_batch_size is 8"),
        ({"x_FP32": ONE[0]}, r"1 dimensions, not 2; if it is one row: x_FP32\[np\.newaxis\]"),
        ({"x_FP32": [1.0]}, "a list given"),
        ({"y": ONE}, 'there is no input "y"'),
        ({"x_FP32": ONE, "x_INT8": np.ones((2, 1), np.int8)}, "dimension 0, batch, is"),
        ({"x_STRING": np.array([[1]], object)}, "a BYTES tensor holds str or bytes"),
    ],
)
def test_a_request_that_does_not_match_is_refused_with_the_signature(client, inputs, message):
    with pytest.raises(InvalidRequest, match=message) as caught:
        client.infer("identity", inputs)
    assert "signature: (x_BOOL: BOOL[batch, _] | None, " in str(caught.value)


def test_a_missing_input_is_refused(client):
    with pytest.raises(InvalidRequest, match=r'input "x" is missing: FP32\[batch, 1\] wanted'):
        client.infer("moody")


def test_errors_of_the_model_have_its_words(client):
    with pytest.raises(InferenceFailed, match=r"moody at .* \(request r\): .*not zero, please"):
        client.infer("moody", x=ONE * 0, request_id="r")
    with pytest.raises(InferenceFailed, match="ValueError: boom"):
        client.infer("moody", x=-ONE)


def test_a_model_or_version_that_is_not_there_is_said_so(client):
    with pytest.raises(ModelNotFound, match=r"identiti at .*'identiti' is not found; did you mean identity\?"):
        client.infer("identiti", x=ONE)
    with pytest.raises(ModelNotFound, match=r"'nope' is not found; there are: .*counter, .*scorer"):
        client.describe("nope")
    with pytest.raises(ModelNotFound, match=r"moody version 7 at .*version 7 is not found"):
        client.infer("moody", x=ONE, version=7)
    assert client.infer("identity", x_FP32=ONE, version=1).model_version == "1"


def test_a_slow_model_ends_in_a_deadline_and_the_client_is_still_good(client):
    with pytest.raises(DeadlineExceeded, match=r"moody at .*: no answer within 0\.3 s"):
        client.infer("moody", x=ONE, timeout_s=0.3)
    assert client.infer("moody", x=ONE * 0.001).y.shape == (1, 1)


def test_threads_share_a_client(client):
    def ask(number: int) -> bool:
        array = np.full((1, 1 + number % 7), number, np.int64)
        return bool((client.infer("identity", x_INT64=array).y_INT64 == array).all())

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(ask, range(200)))


class Scored(NamedTuple):
    rank: np.ndarray
    score: np.ndarray
    word: np.ndarray


class Scorer:
    """What a definition is for the client."""

    name = "scorer"
    signature = Signature(
        inputs=(TensorSpec("amount", "FP32", ()), TensorSpec("title", "BYTES", (), text=True)),
        outputs=(
            TensorSpec("rank", "INT64", ()),
            TensorSpec("score", "FP32", (2,)),
            TensorSpec("word", "BYTES", (), text=True),
        ),
        batched=True,
    )

    def wrap(self, outputs: dict[str, np.ndarray]) -> Scored:
        return Scored(**outputs)


def test_a_definition_is_called_as_it_is_written(client):
    amount = np.array([3, 1, 2], np.float32)
    scored = client.call(Scorer(), amount, title=np.array(["a", "ü", "c"]))
    assert isinstance(scored, Scored)
    assert scored.rank.tolist() == [1, 2, 0]
    assert scored.score.tolist() == [[3, -3], [1, -1], [2, -2]]
    assert scored.word.tolist() == ["A", "Ü", "C"]


def test_arguments_that_do_not_match_the_definition_are_refused_in_its_terms(client):
    with pytest.raises(InvalidRequest, match=r"scorer at .*FP32\[3, 1\] given, FP32\[batch\] wanted"):
        client.call(Scorer(), np.ones((3, 1), np.float32), title=np.array(["a"] * 3))


def test_a_definition_that_the_server_has_otherwise_is_refused(client):
    class Other(Scorer):
        name = "moody"

    with pytest.raises(InvalidRequest, match='there is no input "amount"; there are: x'):
        client.call(Other(), np.ones(1, np.float32), np.array(["a"]))


def test_a_batch_that_is_too_large_is_refused_with_the_definitions_own_signature(client):
    with pytest.raises(
        InvalidRequest, match=r"max_batch_size is 8: split it, as client.map does\n  signature: \(amount: FP32\[batch\]"
    ) as it:
        client.call(Scorer(), np.ones(9, np.float32), np.array(["a"] * 9))
    assert "served" not in str(it.value)


def test_one_value_a_row_is_hinted_at_by_name(client):
    with pytest.raises(InvalidRequest, match=r"if it is one value a row: amount\[:, np\.newaxis\]"):
        client.infer("scorer", amount=np.ones(3, np.float32), title=np.array([["a"]] * 3))


def test_waiting_for_a_model_that_is_not_there_says_so(client):
    with pytest.raises(DeadlineExceeded, match=r"not ready within 3 s: .*'mood' is not found; did you mean moody\?"):
        client.wait_ready("mood", timeout_s=3)


def test_admin(served, client):
    assert client.is_ready()
    assert client.is_ready("moody")
    assert client.is_ready("moody", version=1)
    assert not client.is_ready("nope")
    client.wait_ready("moody", "identity", timeout_s=10)
    with pytest.raises(DeadlineExceeded, match=r"nope at .*not ready within 1 s"):
        client.wait_ready("moody", "nope", timeout_s=1)
    assert client.server()["name"] == "triton"
    states = {status.name: (status.version, status.state) for status in client.models()}
    assert states["moody"] == ("1", "READY")
    described = client.describe("moody")
    assert str(described.signature) == "(x: FP32[batch, 1]) -> (y: FP32[batch, 1])"
    assert (described.max_batch_size, described.versions) == (8, ("1",))


def test_the_administration_tells_a_model_that_is_not_there_from_one_that_does_not_load(served, client):
    admin = client.admin
    for use in (
        lambda: admin.statistics("mood"),
        lambda: admin.trace_settings(model="mood"),
        lambda: admin.load("mood"),
        lambda: client.config("mood"),
        lambda: client.metadata("mood"),
    ):
        with pytest.raises(ModelNotFound, match=r"did you mean moody\?"):
            use()
    with pytest.raises(ModelNotFound):
        admin.statistics("moody", version=7)
    try:
        write(served.served.folder, "faulty", "", "import nonesuch")
        with pytest.raises(ModelNotReady, match=r"'nonesuch'(?s:.*); the server's log says why"):
            admin.load("faulty")
        with pytest.raises(ModelNotReady, match="'faulty' is not available; it is not loaded"):
            admin.statistics("faulty")
        write(served.served.folder, "faulty", "nonsense: 3", "")
        with pytest.raises(ClientError, match="server's log says") as caught:
            admin.load("faulty")
        assert isinstance(caught.value, (ModelNotFound, ModelNotReady))  # Triton 24.10 has it in its index by chance
        config = client.config("moody")
        with pytest.raises(ModelNotReady, match=r"NameError(?s:.*); the server's log says why"):
            admin.load("given", config={**config, "name": "given"}, files={"1/model.py": b"nonesuch"})
        with pytest.raises(ValueError, match=r"files has \"file:1/model.py\"; it takes paths .*: \"1/model.py\""):
            admin.load("given", config={**config, "name": "given"}, files={"file:1/model.py": b""})
    finally:
        shutil.rmtree(served.served.folder / "faulty")


@pytest.mark.parametrize("model", ["identity", "moody", "counter", "scorer"])
def test_both_protocols_say_the_same_of_a_model(served, model):
    with Client(served.http_url) as http, Client(served.grpc_url) as grpc:
        assert http.metadata(model) == grpc.metadata(model)
        assert http.config(model) == grpc.config(model)
        assert http.describe(model) == grpc.describe(model)
        assert http.models() == grpc.models()
        assert http.server() == grpc.server()


def test_a_decoupled_model_is_streamed(served):
    with Client(served.grpc_url) as client:
        assert [result.number.item() for result in client.stream("counter", count=np.array([5], np.int32))] == [
            *range(5)
        ]
        assert list(client.stream("counter", count=np.array([0], np.int32))) == []
        assert [result.y.item() for result in client.stream("moody", x=ONE)] == [1]
        with pytest.raises(InferenceFailed, match="below zero"):
            list(client.stream("counter", count=np.array([-1], np.int32)))
        stream = client.stream("counter", count=np.array([1000], np.int32))
        assert next(stream).number.item() == 0
        stream.close()
        assert client.infer("moody", x=ONE * 0.001).y.shape == (1, 1)


def test_a_definition_is_streamed_as_it_is_written(served):
    with Client(served.grpc_url) as client:
        scored = list(client.stream(Scorer(), np.array([2, 1], np.float32), title=np.array(["a", "ü"])))
        assert [(one.rank.tolist(), one.word.tolist()) for one in scored] == [([1, 0], ["A", "Ü"])]
        assert isinstance(scored[0], Scored)
        with pytest.raises(InvalidRequest, match=r"FP32\[3, 1\] given, FP32\[batch\] wanted"):
            client.stream(Scorer(), np.ones((3, 1), np.float32), title=np.array(["a"] * 3))
        with pytest.raises(TypeError, match="not int"):
            client.stream(1)


def test_a_decoupled_model_is_not_for_infer_nor_a_stream_for_http(served, client):
    count = np.array([1], np.int32)
    with pytest.raises(InvalidRequest, match=r"use stream\(\)"):
        client.infer("counter", count=count)
    with (
        Client(served.http_url) as http,
        pytest.raises(InvalidRequest, match=r"gRPC URL, such as grpc://127\.0\.0\.1:8001"),
    ):
        list(http.stream("counter", count=count))


def test_a_model_that_does_not_load_or_is_unloaded_is_not_ready(served, client):
    # Into what the server itself reads: Server.load would take away again what doesn't load.
    write(served.served.folder, "broken", f"{tensor('input', 'x')} {tensor('output', 'y')}", "1 / 0")
    with pytest.raises(ClientError, match="ZeroDivisionError"):
        client.admin.load("broken")
    with pytest.raises(ModelNotReady, match="no available versions"):
        client.infer("broken", x=np.ones(1, np.float32))
    assert not client.is_ready("broken")
    reason = next(status.reason for status in client.models() if status.name == "broken")
    assert "ZeroDivisionError" in reason
    served.unload("plain")
    assert not client.is_ready("plain")
    with pytest.raises(ModelNotReady):
        client.infer("plain", x_FP32=np.ones(1, np.float32))
    served.load("plain")
    assert client.is_ready("plain")


def test_a_model_that_changes_is_asked_for_anew(repository, served, client):
    def change(datatype: str, batch: int) -> None:
        config = f"max_batch_size: {batch} {tensor('input', 'x', datatype)} {tensor('output', 'y', datatype)}"
        write(repository, "changing", config, MOODY.replace("time.sleep(float(x.flat[0]))", "pass"))
        served.load("changing")

    change("FP32", 2)
    assert client.infer("changing", x=ONE).y.dtype == np.float32
    change("INT64", 4)
    integers = np.ones((4, 1), np.int64)
    assert client.infer("changing", x=integers).y.dtype == np.int64
    with pytest.raises(InvalidRequest, match=r"FP32\[1, 1\] given, INT64\[batch, 1\] wanted"):
        client.infer("changing", x=ONE)
    change("FP32", 2)
    with pytest.raises(InvalidRequest):
        client.infer("changing", x=np.ones((1, 1), np.int64))
    assert client.infer("changing", x=ONE).y.dtype == np.float32


@pytest.mark.parametrize("name", QUOTED)
def test_names_that_urls_may_quote_are_reached(served, client, name):
    served.load(name)
    assert client.infer(name, {"x y": np.ones(1, np.float32)})["y y"].tolist() == [1]


def test_the_wrong_port_is_told(served):
    http, grpc = served.http_url.partition("://")[2], served.grpc_url.partition("://")[2]
    message = "this is a gRPC port, not an HTTP one; use the URL grpc://"
    with Client(f"http://{grpc}") as client, pytest.raises(ServerUnavailable, match=message):
        client.infer("moody", x=ONE)
    with Client(f"grpc://{http}") as client, pytest.raises(ServerUnavailable, match="is it the server's HTTP port"):
        client.infer("moody", x=ONE)


def test_the_metrics_port_is_told_though_it_says_that_it_is_ready(served):
    url = served.metrics_url.removesuffix("/metrics")
    words = "this is Triton's metrics port; use its HTTP port"
    with Client(url) as client:
        assert not client.is_ready()
        assert not client.is_ready("anything")
        with pytest.raises(DeadlineExceeded, match=words):
            client.wait_ready(timeout_s=3)
        with pytest.raises(ServerUnavailable, match=words):
            client.infer("moody", x=ONE)
        with pytest.raises(InvalidRequest, match="is it Triton's metrics port"):
            client.models()

    async def ask() -> bool:
        async with AsyncClient(url) as client:
            return await client.is_ready()

    assert not asyncio.run(ask())


def test_a_model_whose_process_died_says_what_to_do(tmp_path):
    tensors = f"{tensor('input', 'x')} {tensor('output', 'y')}"
    write(tmp_path, "mortal", f"max_batch_size: 8 {tensors}", MORTAL)
    write(tmp_path, "fickle", f"{tensors} model_transaction_policy {{ decoupled: true }}", MORTAL)
    with Server.embedded(tmp_path, http_port=0, grpc_port=0, metrics_port=0, exit_timeout_s=0) as server:
        for url in (server.http_url, server.grpc_url):
            with Client(url) as client, pytest.raises(InferenceFailed, match=r"not healthy\.; the model.* died"):
                client.infer("mortal", x=ONE)
        with Client(server.grpc_url) as client, pytest.raises(InferenceFailed, match="then tritonforge reload"):
            list(client.stream("fickle", x=ONE[0]))


def test_a_server_that_comes_back_is_reached_by_the_same_client(tmp_path):
    write(tmp_path, "moody", f"max_batch_size: 8 {tensor('input', 'x')} {tensor('output', 'y')}", MOODY)
    with Server.embedded(tmp_path, http_port=0, grpc_port=0, metrics_port=0, exit_timeout_s=0) as first:
        clients = [Client(first.http_url), Client(first.grpc_url)]
        ports = {name: getattr(first.settings, name) for name in ("http_port", "grpc_port", "metrics_port")}
        for client in clients:
            client.infer("moody", x=ONE * 0.001)
    for client in clients:
        with pytest.raises(ServerUnavailable):
            client.infer("moody", x=ONE)
    with Server.embedded(tmp_path, **ports, exit_timeout_s=0):
        for client in clients:
            client.wait_ready("moody", timeout_s=30)
            client.infer("moody", x=ONE * 0.001)
            client.close()


FORK = """
import os, sys
import numpy as np
from tritonforge.client import Client

def ask(number):
    for _ in range(200):
        array = np.full((1, 3), number, np.int64)
        assert (client.infer("identity", x_INT64=array).y_INT64 == array).all()

client = Client(sys.argv[1])
ask(0)
child = os.fork()
ask(1 if child else 2)
if child:
    sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


def test_a_forked_child_does_not_share_its_parents_connections(client):
    subprocess.run([sys.executable, "-c", FORK, client.url], check=True, timeout=60)
