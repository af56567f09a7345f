"""What the client can do beside plain calls, over both protocols and in both kinds, against a real Triton."""

from __future__ import annotations

import ast
import asyncio
import os
import signal
import subprocess
import sys
import time
import urllib.parse
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from feature_models import write_feature_models
from repositories import FREE_PORTS, renewed

from tritonforge.client import (
    AsyncClient,
    Client,
    ClientError,
    ConnectionOptions,
    DeadlineExceeded,
    InferenceFailed,
    InvalidRequest,
    Label,
    ModelNotFound,
    ModelNotReady,
    Result,
    Retries,
    ServerUnavailable,
)
from tritonforge.client.concurrency.blocking import finish
from tritonforge.client.deadline import Deadline
from tritonforge.client.shared_memory import transport
from tritonforge.client.shared_memory.segments import PREFIX
from tritonforge.client.stub import Stub, only, tensor
from tritonforge.ir import Signature
from tritonforge.server import Server

KEY = "test-key-of-this-server"
OPTIONS = ConnectionOptions(headers={"triton-key": KEY, "triton-grpc-protocol-triton-key": KEY})
"""What opens the APIs that change models: over gRPC Triton wants the header with a prefix."""
ONE = np.ones((1, 1), np.float32)
ROWS = np.arange(300, dtype=np.float32).reshape(100, 3)
LARGE = np.random.default_rng(0).random((4, 1 << 17), np.float32)


@pytest.fixture(scope="module")
def serving(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[], Server]]:
    folder = tmp_path_factory.mktemp("feature_models")
    write_feature_models(folder)
    settings: dict[str, Any] = {"exit_timeout_s": 0, "model_control": "explicit", "restricted_key": KEY}
    with renewed(lambda: Server.embedded(folder, **FREE_PORTS, **settings)) as serving:
        yield serving


@pytest.fixture
def served(serving: Callable[[], Server]) -> Server:
    return serving()


@pytest.fixture(params=["http", "grpc"])
def url(request: pytest.FixtureRequest, served: Server) -> str:
    return served.http_url if request.param == "http" else served.grpc_url


@pytest.fixture
def client(url: str) -> Iterator[Client]:
    with Client(url, options=OPTIONS) as client:
        yield client


def run(url: str, use: Callable[[AsyncClient], Any]) -> Any:
    async def main() -> Any:
        async with AsyncClient(url) as client:
            return await use(client)

    return asyncio.run(main())


def segments() -> list[str]:
    return [name for name in os.listdir("/dev/shm") if name.startswith(f"{PREFIX}{os.getpid()}_")]


# map


def test_arrays_are_cut_mapped_and_merged(client):
    assert np.array_equal(client.map("labelled", ROWS).merge().scores, ROWS)
    parts = [result.scores for result in client.map("labelled", {"x": ROWS}, batch_size=3, concurrency=4)]
    assert [len(part) for part in parts] == [3] * 33 + [1]
    assert np.array_equal(np.concatenate(parts), ROWS)


def test_each_batch_has_a_result_whatever_its_size(client):
    batches = [ROWS[:3], ROWS[3:30], ROWS[30:31]]
    assert [len(result.scores) for result in client.map("labelled", batches)] == [3, 27, 1]
    indexed = dict(client.map("labelled", iter(batches), ordered=False).indexed())
    assert all(np.array_equal(indexed[number].scores, batch) for number, batch in enumerate(batches))


def test_a_map_reads_its_input_no_further_than_it_must(client):
    read = []

    def batches() -> Iterator[np.ndarray]:
        for number in range(1000):
            read.append(number)
            yield ROWS[:1]

    results = client.map("labelled", batches(), concurrency=3)
    next(results)
    assert len(read) <= 7
    results.close()
    assert len(read) <= 7


def test_a_map_tells_how_far_it_is(client):
    told = []
    client.map("labelled", ROWS, progress=told.append).merge()
    assert (told[-1].requests, told[-1].rows) == (13, 100)
    assert [progress.requests for progress in told] == list(range(1, 14))


def test_the_first_error_of_a_map_names_its_item(client):
    batches = [ONE * 0.001, ONE * 0, ONE * 0.001]
    with pytest.raises(InferenceFailed, match="item 1: not zero, please"):
        list(client.map("moody", batches, concurrency=1))


def test_an_async_client_maps(url):
    async def use(client: AsyncClient) -> None:
        assert np.array_equal((await client.map("labelled", ROWS).merge()).scores, ROWS)
        lengths = [len(r.scores) async for r in client.map("labelled", [ROWS[:3], ROWS[3:30]])]
        assert lengths == [3, 27]
        with pytest.raises(InferenceFailed, match="item 1: "):
            async for _ in client.map("moody", [ONE * 0.001, ONE * 0]):
                pass

    run(url, use)


def test_a_map_that_is_left_early_keeps_no_loop_from_ending(url):
    left = []

    async def use(client: AsyncClient) -> None:
        mapped = client.map("moody", [ONE * 0.01] * 8, concurrency=4)
        left.append(mapped)
        async for _ in mapped:
            break
        await client.infer("moody", x=ONE * 0.001)
        with pytest.raises(DeadlineExceeded):
            await client.infer("moody", x=ONE * 0.001, timeout_s=1e-5)

    run(url, use)


def test_an_async_client_that_is_closed_ends_the_maps_that_nobody_reads(url):
    async def main() -> None:
        async with AsyncClient(url) as client:
            mapped = client.map("moody", [ONE * 0.01] * 8, concurrency=4)
            await anext(mapped)
        names = [task.get_coro().__qualname__ for task in asyncio.all_tasks()]
        assert not [name for name in names if "_Crew" in name]
        with pytest.raises(RuntimeError, match="closed"):
            await anext(mapped)

    asyncio.run(main())


# sequences


def test_a_sequence_keeps_its_state_and_ends(client):
    with client.sequence("adder") as sequence:
        assert [sequence.infer(x=ONE * n).y.item() for n in (1, 2)] == [1, 3]
        assert sequence.infer(x=ONE, end=True).y.item() == 4
        with pytest.raises(RuntimeError, match="has ended"):
            sequence.infer(x=ONE)
    with pytest.raises(InvalidRequest, match="START flag"):
        client.infer("adder", x=ONE, sequence_id=sequence.id)


def test_two_sequences_do_not_mix(client):
    with client.sequence("adder") as one, client.sequence("adder", sequence_id=7) as other:
        assert [s.infer(x=ONE * n).y.item() for s, n in ((one, 1), (other, 5), (one, 1), (other, 5))] == [1, 5, 2, 10]
        assert other.id == 7


def test_the_end_of_the_block_ends_the_sequence_with_what_closes_it(client):
    with client.sequence("adder", closing={"x": ONE}) as sequence:
        sequence.infer(x=ONE)
    with pytest.raises(InvalidRequest, match="START flag"):
        client.infer("adder", x=ONE, sequence_id=sequence.id)
    failing = client.sequence("adder", closing={"x": ONE})
    failing.infer(x=ONE)
    failing.__exit__(ZeroDivisionError, ZeroDivisionError(), None)
    with pytest.raises(InvalidRequest, match="START flag"):
        client.infer("adder", x=ONE, sequence_id=failing.id)


def test_what_closes_a_sequence_is_checked_before_it_begins(client):
    sequence = client.sequence("adder", closing={"y": ONE})
    with sequence, pytest.raises(InvalidRequest, match=r'closing: .*\n.*\n  there is no input "y"'):
        sequence.infer(x=ONE)
    with pytest.raises(InvalidRequest, match="START flag"):
        client.infer("adder", x=ONE, sequence_id=sequence.id)


def test_a_lost_sequence_is_replayed_if_asked(client):
    with client.sequence("adder", replay=True) as sequence:
        assert [sequence.infer(x=ONE * n).y.item() for n in (1, 2)] == [1, 3]
        client.infer("adder", x=ONE, sequence_id=sequence.id, sequence_end=True)  # the server forgets it
        assert sequence.infer(x=ONE * 4).y.item() == 7
    with client.sequence("adder") as sequence:
        sequence.infer(x=ONE)
        client.infer("adder", x=ONE, sequence_id=sequence.id, sequence_end=True)
        with pytest.raises(InvalidRequest, match=r"START flag.*; the sequence has begun, but"):
            sequence.infer(x=ONE)


def test_a_replay_sends_what_was_sent_of_arrays_that_are_filled_anew(client):
    with client.shared(x=(ONE.shape, ONE.dtype)) as lent, client.sequence("adder", replay=True) as sequence:
        own = np.zeros_like(ONE)
        for number in (1, 2):
            for x in (own, lent["x"]):
                x[:] = number
                sequence.infer(x=x)
        client.infer("adder", x=ONE, sequence_id=sequence.id, sequence_end=True)
        assert sequence.infer(x=ONE * 4).y.item() == 10


def test_a_sequence_stays_on_one_server(url):
    with Client([url, url]) as client, client.sequence("adder") as sequence:
        assert [sequence.infer(x=ONE).y.item() for _ in range(4)] == [1, 2, 3, 4]
        replicas = client._assembly.reliable.replicas
        assert len({id(replica) for replica in replicas._pinned.values()}) == 1


def test_an_async_sequence(url):
    async def use(client: AsyncClient) -> list[float]:
        async with client.sequence("adder") as sequence:
            return [(await sequence.infer(x=ONE)).y.item() for _ in range(3)]

    assert run(url, use) == [1, 2, 3]


def test_requests_of_one_sequence_wait_for_each_other_in_the_order_of_asking(client, url):
    with client.sequence("adder") as sequence, ThreadPoolExecutor(8) as pool:
        sums = sorted(result.y.item() for result in pool.map(lambda _: sequence.infer(x=ONE), range(16)))
    assert sums == list(range(1, 17))

    async def use(client: AsyncClient) -> list[float]:
        async with client.sequence("adder") as sequence:
            return [r.y.item() for r in await asyncio.gather(*[sequence.infer(x=ONE * n) for n in range(1, 6)])]

    assert run(url, use) == [1, 3, 6, 10, 15]


def test_a_sequence_through_a_definition_takes_its_arguments_and_gives_what_it_returns(client, url):
    signature = Signature((tensor("x", "FP32"),), (tensor("y", "FP32"),), batched=True, sequence=True)
    adder = Stub("adder", signature, only)  # one value a row is [n] to it
    one = np.ones(1, np.float32)
    with client.sequence(adder, closing={"x": one}) as sequence:
        assert [sequence.infer(one * 2).tolist(), sequence.infer(x=one).tolist()] == [[2], [3]]
        with pytest.raises(InvalidRequest, match=r"FP32\[1, 1\] given"):
            sequence.infer(ONE)
    with pytest.raises(InvalidRequest, match="START flag"):
        client.infer("adder", x=ONE, sequence_id=sequence.id)

    async def use(client: AsyncClient) -> list[float]:
        async with client.sequence(adder) as sequence:
            return [(await sequence.infer(one)).item() for _ in range(2)]

    assert run(url, use) == [1, 2]


# classes, casts, steps, queue timeouts


def test_the_highest_classes_come_with_their_labels(client):
    scores = np.array([[0.1, 0.7, 0.2], [0.5, 0.2, 0.3]], np.float32)
    result = client.infer("labelled", x=scores, top={"scores": 2})
    assert result.scores.shape == (2, 2)
    assert result.scores[0].tolist() == [Label(0.7, 1, "dog"), Label(0.2, 2, "bird")]
    with pytest.raises(ValueError, match="1 to 2147483647"):
        client.infer("labelled", x=scores, top={"scores": 0})


@pytest.mark.parametrize("datatype", ["STRING", "BOOL"])
def test_classes_of_what_has_none_are_refused_before_they_end_the_server(client, datatype):
    x, y = f"x_{datatype}", f"y_{datatype}"
    array = np.array([["b"]], object) if datatype == "STRING" else np.array([[True]])
    with pytest.raises(InvalidRequest, match=rf'output "{y}" is .*: top= is for numbers') as caught:
        client.infer("identity", {x: array}, outputs=[y], top={y: 1})
    assert not caught.value.code  # the server has said nothing
    assert client.is_ready()


def test_a_request_id_that_is_no_text_is_refused_whether_or_not_the_request_is_like_an_earlier_one(client):
    for _ in range(2):
        with pytest.raises(TypeError, match=r'request_id is 7; it is a text: request_id="7"'):
            client.infer("labelled", x=ROWS[:1], request_id=7)
        with pytest.raises(ValueError, match=r"request_id is .* no form in UTF-8"):
            client.infer("labelled", x=ROWS[:1], request_id="\ud800")
        client.infer("labelled", x=ROWS[:1], request_id="7")


def test_casts_are_made_if_asked(client):
    assert client.infer("identity", x_INT8=[[1, 2]], cast="exact").y_INT8.dtype == np.int8
    assert client.infer("identity", x_FP32=0.1, cast="round").y_FP32.shape == (1, 1)
    with pytest.raises(InvalidRequest, match=r'cast="round" allows it'):
        client.infer("identity", x_FP32=[[0.1]], cast="exact")


def test_the_step_of_an_ensemble_that_fails_is_named(client):
    with pytest.raises(InferenceFailed, match="boom") as caught:
        client.infer("chain", x=-ONE)
    assert caught.value.step == "moody"


def test_the_deadline_is_sent_as_the_limit_in_the_queue_where_the_model_heeds_one(client):
    served = client.describe("queued")
    assert served.queue_timeout
    assert client.describe("chain").queue_timeout
    assert not client.describe("moody").queue_timeout
    sent = client._calls.prepare(client._calls.target("queued"), {"x": ONE}, (), None, Deadline(40))
    assert 20_000_000 < finish(sent)[1].parameters["timeout"] <= 40_000_000
    assert client.infer("queued", x=ONE * 0.001).y.shape == (1, 1)


def test_a_request_that_is_in_the_queue_for_too_long_is_late_and_not_sent_again(client):
    def failures() -> int:
        return int(client.admin.statistics("queued")[0]["inference_stats"]["fail"]["count"])

    def outcome(future: Future[Result]) -> BaseException | None:
        return future.exception(30)

    client.describe("queued")
    before, hurried = failures(), {"timeout": 1000}  # a millisecond
    errors: list[BaseException] = []
    deadline = time.monotonic() + 30
    with ThreadPoolExecutor(8) as pool:
        while not errors:  # Triton hands out more than runs, and which ones come first is open
            assert time.monotonic() < deadline
            busy = [pool.submit(client.infer, "queued", x=ONE * 0.2) for _ in range(4)]
            late = [pool.submit(client.infer, "queued", x=ONE * 0.001, parameters=hurried) for _ in range(4)]
            assert [outcome(future) for future in busy] == [None] * 4
            errors = [error for future in late if (error := outcome(future)) is not None]
    for error in errors:
        assert isinstance(error, DeadlineExceeded)
        assert error.code in ("503", "UNAVAILABLE")
        assert "Request timeout expired" in error.reason
    while failures() < before + len(errors):  # Triton counts one a moment after it has answered
        assert time.monotonic() < deadline
    assert failures() == before + len(errors)


# generate


def test_texts_are_generated(served):
    with Client(served.http_url) as client:
        assert client.generate("words", text="hello")["word"] == "hello"
        assert [answer["word"] for answer in client.generate_stream("words", text="a b c")] == ["a", "b", "c"]
        stream = client.generate_stream("words", text="a b bad c")
        assert [next(stream)["word"], next(stream)["word"]] == ["a", "b"]
        with pytest.raises(InferenceFailed, match="a bad word"):
            next(stream)
        with pytest.raises(InferenceFailed, match="exactly 1 response"):
            client.generate("words", text="a b")
        with pytest.raises(ClientError, match="missing required input") as caught:
            client.generate("words")
        assert "JSON" not in caught.value.reason
        for use in (client.generate, lambda *args, **inputs: list(client.generate_stream(*args, **inputs))):
            with pytest.raises(ModelNotFound, match=r"did you mean words\?"):
                use("word", text="a")
            with pytest.raises(InvalidRequest, match=r"a value is not of its input's type: .*JSON non-string"):
                use("words", text=3)
    with Client(served.grpc_url) as client, pytest.raises(InvalidRequest, match="over HTTP only"):
        client.generate("words", text="a")


def test_texts_are_generated_in_a_loop(served):
    async def use(client: AsyncClient) -> list[str]:
        assert (await client.generate("words", text="hello"))["word"] == "hello"
        return [answer["word"] async for answer in client.generate_stream("words", text="a b")]

    assert run(served.http_url, use) == ["a", "b"]


# shared memory


def test_large_tensors_go_through_shared_memory_both_ways(client):
    arrays = [client.infer("identity", x_FP32=LARGE + number).y_FP32 for number in range(4)]
    assert all(np.array_equal(array, LARGE + number) for number, array in enumerate(arrays))
    (shared,) = client._assembly.shared
    (sizes,) = shared.arena._sizes.values()
    assert sizes["y_FP32"] == LARGE.nbytes
    names = {entry["name"] for entry in client.admin.shared_memory()}
    assert names >= set(segments())
    assert segments()
    client.close()
    assert not segments()


def test_results_stay_what_they_are_while_their_memory_is_used_again(client):
    kept = [client.infer("identity", x_FP32=LARGE * number).y_FP32 for number in range(6)]
    assert all(np.array_equal(array, LARGE * number) for number, array in enumerate(kept))


def test_outputs_that_outgrow_their_place_come_all_the_same(client):
    words = np.array([["x" * 400_000]], object)
    for text in ("x" * 400_000, "y" * 800_000):
        words[0, 0] = text
        assert client.infer("identity", x_STRING=words).y_STRING[0, 0] == text.encode()


def test_a_callers_own_arrays_lie_in_shared_memory(client):
    with client.shared(x=(LARGE.shape, np.float32)) as arrays:
        arrays["x"][...] = LARGE
        assert np.array_equal(client.infer("identity", x_FP32=arrays["x"]).y_FP32, LARGE)
        assert np.array_equal(client.infer("identity", x_FP32=arrays["x"][1:3]).y_FP32, LARGE[1:3])
        kept = arrays["x"]
    assert np.array_equal(kept, LARGE)
    assert np.array_equal(client.infer("identity", x_FP32=kept).y_FP32, LARGE)


def test_shared_arrays_need_a_server_on_this_machine():
    with Client("http://192.0.2.1") as client, pytest.raises(ValueError, match="on this machine"), client.shared():
        pass


def test_what_a_killed_client_leaves_is_swept_by_the_next(url):
    code = (
        "import numpy as np, os, signal, sys; from tritonforge.client import Client\n"
        "client = Client(sys.argv[1]); client.infer('identity', x_FP32=np.ones((1, 1 << 18), np.float32))\n"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    with subprocess.Popen([sys.executable, "-c", code, url]) as killed:
        assert killed.wait(60) == -signal.SIGKILL
    with Client(url) as client:

        def left() -> set[str]:
            names = {entry["name"] for entry in client.admin.shared_memory()}
            return {name for name in names if name.startswith(f"{PREFIX}{killed.pid}_")}

        found, deadline = left(), time.monotonic() + 30
        assert found  # where the server has it: a client of another test may have cleared /dev/shm meanwhile
        client.infer("identity", x_FP32=LARGE)
        while left():  # Triton may let go of the request a moment after its answer, and the region with the next one
            assert time.monotonic() < deadline
            client.infer("identity", x_FP32=LARGE)
    assert not found & set(os.listdir("/dev/shm"))


@pytest.mark.parametrize("end", ["pass", "sys.exit(0)", "raise ValueError", "os.fork() or sys.exit(0); os.wait()"])
def test_what_a_client_that_was_not_closed_leaves_goes_with_its_program(url, end):
    code = (
        "import numpy as np, os, sys; from tritonforge.client import Client\n"
        "client = Client(sys.argv[1]); client.infer('identity', x_FP32=np.ones((1, 1 << 18), np.float32))\n"
        f"print([entry['name'] for entry in client.admin.shared_memory()])\n{end}"
    )
    ended = subprocess.run([sys.executable, "-c", code, url], check=False, capture_output=True, text=True, timeout=60)
    names = [name for name in ast.literal_eval(ended.stdout.splitlines()[0]) if name.startswith(PREFIX)]
    with Client(url) as client:
        assert names
        assert not {*names} & {entry["name"] for entry in client.admin.shared_memory()}


def test_calls_that_are_given_up_leave_no_memory_with_the_server(served, url, monkeypatch):
    monkeypatch.setattr(transport, "GOODBYE_S", 30.0)  # on a busy machine a second may be too short for all of them
    slow = np.full((1, 1 << 17), 0.2, np.float32)
    with Client(url, options=OPTIONS) as client:
        for _ in range(4):
            with pytest.raises(DeadlineExceeded):
                client.infer("drowsy", x=slow, timeout_s=0.1)
        assert np.array_equal(client.infer("drowsy", x=slow).y, slow)
        assert 1 <= len(regions(served)) <= 4  # of the calls before, some have ended by now
    assert not regions(served)


def regions(served: Server) -> list[str]:
    """List the regions of this process that the server has mapped."""
    with Client(served.http_url, options=OPTIONS, shared_memory=False) as client:
        names = [entry["name"] for entry in client.admin.shared_memory()]
    return [name for name in names if name.startswith(f"{PREFIX}{os.getpid()}_")]


def test_an_async_client_uses_shared_memory(url):
    async def use(client: AsyncClient) -> None:
        for _ in range(3):
            assert np.array_equal((await client.infer("identity", x_FP32=LARGE)).y_FP32, LARGE)
        assert await client.admin.shared_memory()
        async with client.shared(x=(LARGE.shape, np.float32)) as arrays:
            arrays["x"][...] = LARGE
            assert np.array_equal((await client.infer("identity", x_FP32=arrays["x"])).y_FP32, LARGE)

    run(url, use)
    assert not segments()


# administration


def test_the_administration_says_the_same_over_both_protocols(served):
    with Client(served.http_url) as http, Client(served.grpc_url) as grpc:
        assert http.admin.log_settings() == grpc.admin.log_settings()
        assert http.admin.trace_settings() == grpc.admin.trace_settings()
        assert [entry["name"] for entry in http.admin.statistics()] == [e["name"] for e in grpc.admin.statistics()]


def test_settings_are_changed_and_cleared(client):
    assert client.admin.log_settings({"log_verbose_level": 0, "log_info": True})["log_info"] is True
    changed = client.admin.trace_settings({"trace_rate": 77, "trace_level": ["OFF"]}, model="moody")
    assert (changed["trace_rate"], changed["trace_level"]) == ("77", ["OFF"])
    assert client.admin.trace_settings({"trace_rate": None}, model="moody")["trace_rate"] == "1000"


def test_models_are_known_without_the_key_that_their_index_wants(url):
    """From the statistics; what the key alone opens says so."""
    with Client(url) as client, Client(url, options=OPTIONS) as keeper:
        ready = {status.name for status in keeper.models() if status.state == "READY"}
        assert {status.name for status in client.models()} == ready
        with pytest.raises(ModelNotFound, match="did you mean moody"):
            client.infer("mody", x=ONE)
        with pytest.raises(InvalidRequest, match=r"it is the key: ConnectionOptions\(headers="):
            client.admin.unload("moody")


def test_models_are_loaded_with_another_configuration_and_unloaded(client, served):
    config = {**client.config("scorer"), "max_batch_size": 3}
    client.admin.load("scorer", config=config)
    assert client.describe("scorer").max_batch_size == 3
    client.admin.unload("scorer")
    deadline = time.monotonic() + 30
    while client.is_ready("scorer"):
        assert time.monotonic() < deadline
    client.admin.load("scorer", config={**config, "max_batch_size": 8})
    assert client.is_ready("scorer")


GIVEN = """
import numpy as np
import triton_python_backend_utils as utils


class TritonPythonModel:
    def execute(self, requests):
        return [utils.InferenceResponse([utils.Tensor("y", np.array([NUMBER], np.int32))]) for _ in requests]
"""


def test_other_files_with_the_same_configuration_are_loaded(client):
    one = {"data_type": "TYPE_INT32", "dims": [1]}
    tensors = {"input": [{"name": "x", **one}], "output": [{"name": "y", **one}]}
    config = {"name": "given", "backend": "python", **tensors}
    x = np.zeros(1, np.int32)
    for number in (1, 2):
        client.admin.load("given", config=config, files={"1/model.py": GIVEN.replace("NUMBER", str(number)).encode()})
        assert client.infer("given", x=x).y == [number]
    with pytest.raises(ModelNotReady, match="broken"):
        client.admin.load("given", config=config, files={"1/model.py": b"raise ValueError('broken')"})
    assert client.infer("given", x=x).y == [2]
    client.admin.unload("given")


# several servers


def test_a_dead_server_is_left_out_and_calls_go_on(url):
    dead = f"{urllib.parse.urlsplit(url).scheme}://127.0.0.1:1"
    with Client([dead, url], retries=Retries(first_delay_s=0.01)) as client:
        for _ in range(30):
            client.infer("identity", x_FP32=ONE)
        first, second = client._assembly.reliable.replicas.all
        assert first.open
        assert not second.open


def test_nothing_to_connect_to_is_an_error_within_the_deadline(url):
    scheme = urllib.parse.urlsplit(url).scheme
    with Client([f"{scheme}://127.0.0.1:1", f"{scheme}://127.0.0.1:2"], timeout_s=20) as client:
        for _ in range(12):
            with pytest.raises(ServerUnavailable):
                client.infer("identity", x_FP32=ONE)


def test_a_stub_module_calls_and_notices_a_change(url, served, tmp_path, monkeypatch):
    from tritonforge.client.stubs import generate, read_server

    text = generate(read_server(url, options=OPTIONS))
    assert text == generate(read_server(served.http_url, options=OPTIONS))
    Path(tmp_path, "made_client.py").write_text(text, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "made_client", raising=False)
    import made_client

    with made_client.connect(url) as models:
        assert models.labelled(x=ROWS[:2]).tolist() == ROWS[:2].tolist()
        assert models.client.call(made_client.LABELLED, x=ROWS[:1]).tolist() == ROWS[:1].tolist()
        with models.adder() as steps:
            assert [steps.infer(x=ONE).item() for _ in range(2)] == [1, 2]
    changed = text.replace('tensor("x", "FP32", 3)', 'tensor("x", "FP32", 4)')
    Path(tmp_path, "old_client.py").write_text(changed, encoding="utf-8")
    import old_client

    from tritonforge.client.stub import SchemaChanged

    with pytest.raises(SchemaChanged, match=r"labelled: generated for .*FP32\[batch, 4\]"), old_client.connect(url):
        pass
