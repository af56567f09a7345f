"""Request parameters in the real server: by each of our transports, by tritonclient, and as plain JSON."""

from __future__ import annotations

import asyncio
import json
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import parametric_definitions as definitions
import pytest
import tritonclient.grpc
import tritonclient.http

from tritonforge.build import build
from tritonforge.client import AsyncClient, Client, DeadlineExceeded, InvalidRequest
from tritonforge.client.stub import fingerprint
from tritonforge.client.stubs import generate, read_repository, read_server
from tritonforge.client.verify import verify
from tritonforge.load import Data, InvalidLoad, Load, ModelLoad, Settings, sweep
from tritonforge.samples import golden_of
from tritonforge.server import Server

X = np.ones((1, 2), np.float32)
TOLD = {"name": "a", "count": 3, "ratio": 0.5, "flag": True}


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("parametric") / "model_repository"
    build([Path(definitions.__file__)], folder)
    return folder


@pytest.fixture(scope="module")
def server(repository: Path) -> Iterator[Server]:
    with Server.embedded(repository, http_port=0, grpc_port=0, metrics_port=0, exit_timeout_s=0) as running:
        yield running


@pytest.fixture(params=["http", "grpc"])
def client(request: pytest.FixtureRequest, server: Server) -> Iterator[Client]:
    with Client(server.http_url if request.param == "http" else server.grpc_url) as connected:
        yield connected


def test_a_definition_is_told_what_a_call_says(client: Client) -> None:
    assert json.loads(client.call(definitions.told, X, TOLD)[0]) == TOLD
    assert json.loads(client.call(definitions.told, X, options={"a": -1})[0]) == {"a": -1}
    assert client.call(definitions.told, X).tolist() == ["{}"]  # type: ignore[call-arg, unused-ignore]
    assert json.loads(client.infer("told", x=X, parameters=TOLD)["output"][0, 0]) == TOLD


def test_requests_that_wait_together_have_what_they_say(client: Client) -> None:
    with ThreadPoolExecutor(12) as pool:
        wanted = [1, 2, 3] * 8
        answers = list(pool.map(lambda by: client.call(definitions.scale, X, options={"by": by}), wanted))

    assert [answer.output_0.tolist() for answer in answers] == [[[by, by]] for by in wanted]
    assert max(answer.rows[0] for answer in answers) > 1  # those that said the same were stacked


CHAINS: list[Any] = [
    definitions.chained,
    definitions.chained_within,
    definitions.fused,
    definitions.fused_within,
    definitions.called,
    definitions.decided,
    definitions.awaited,
]


@pytest.mark.parametrize("chain", CHAINS, ids=lambda chain: chain.name)
def test_pipelines_hand_them_on(client: Client, chain: Any) -> None:
    """Floats too, which Triton takes in no call from model to model."""
    for said in ({}, {"by": 3}, {"add": 0.5}, {"by": 2.5, "add": 3, "text": "é", "flag": True}):
        eager = chain(X, said)
        wanted = asyncio.run(eager) if asyncio.iscoroutine(eager) else eager
        for held, served in zip(_arrays(wanted), _arrays(client.call(chain, X, said)), strict=True):
            assert served.tolist() == held.tolist()


@pytest.mark.parametrize("chain", [one for one in CHAINS if one is not definitions.decided], ids=lambda one: one.name)
def test_a_step_may_refuse_what_it_is_told(client: Client, chain: Any) -> None:
    with pytest.raises(InvalidRequest, match="as asked"):
        client.call(chain, X, {"fails": True})


@pytest.mark.parametrize(
    "chain", [definitions.fused, definitions.called, definitions.decided], ids=lambda one: one.name
)
def test_pipelines_stack_those_that_say_the_same(client: Client, chain: Any) -> None:
    with ThreadPoolExecutor(12) as pool:
        said = [1, 2, 3] * 8
        answers = list(pool.map(lambda by: client.call(chain, X, {"by": by}), said))

    assert [answer.output_0.tolist() for answer in answers] == [[[by, by]] for by in said]
    assert max(answer.rows[0] for answer in answers) > 1


def _arrays(given: Any) -> tuple[Any, ...]:
    return tuple(given) if isinstance(given, tuple) else (given,)


def test_async_calls_and_sequences_are_told(client: Client) -> None:
    assert client.call(definitions.ascale, X, {"by": 5}).tolist() == [[5, 5]]
    with client.sequence(definitions.Total) as steps:
        assert steps.infer(X, {"by": 3}).tolist() == [[3, 3]]
        assert steps.infer(X, end=True).tolist() == [[4, 4]]


def test_a_replayed_sequence_is_told_again(client: Client) -> None:
    """Where a request was late, and where the server has ended the sequence, as it does after max_idle_us."""
    with client.sequence(definitions.Total, replay=True) as steps, client.sequence("Total", replay=True) as named:
        for _ in range(2):
            steps.infer(X, {"by": 10})
            named.infer(x=X, parameters={"by": 10})
        with pytest.raises(DeadlineExceeded):
            steps.infer(X, {"by": 100}, timeout_s=1e-5)
        with pytest.raises(DeadlineExceeded):
            named.infer(x=X, parameters={"by": 100}, timeout_s=1e-5)
        assert steps.infer(X).tolist() == named.infer(x=X)["output"].tolist() == [[21, 21]]
        for sequence in (steps, named):
            client.infer("Total", x=X, sequence_id=sequence.id, sequence_end=True)
        assert steps.infer(X, {"by": 3}).tolist() == [[24, 24]]
        assert named.infer(x=X, parameters={"by": 3}, outputs=iter(["output"]))["output"].tolist() == [[24, 24]]


def test_a_replayed_sequence_of_tasks_is_told_again(client: Client) -> None:
    async def main() -> None:
        async with AsyncClient(client.url) as tasks:
            steps, named = tasks.sequence(definitions.Total, replay=True), tasks.sequence("Total", replay=True)
            async with steps, named:
                await steps.infer(X, {"by": 10})
                await named.infer(x=X, parameters={"by": 10})
                for sequence in (steps, named):
                    with pytest.raises(DeadlineExceeded):
                        await sequence.infer(x=X, timeout_s=1e-5)
                assert (await steps.infer(X)).tolist() == [[11, 11]]
                assert (await named.infer(x=X))["output"].tolist() == [[11, 11]]

    asyncio.run(main())


def test_what_closes_a_sequence_is_told_too(client: Client) -> None:
    with client.sequence(definitions.Last, closing={"x": X, "options": {"by": 7}}) as steps:
        steps.infer(X)
    with client.sequence(definitions.Last) as steps:
        assert steps.infer(X).tolist() == [[7, 7]]
        steps.infer(X, end=True)


@pytest.mark.parametrize("name", ["tokens", "atokens"])
def test_streams_are_told(server: Server, name: str) -> None:
    stream: Any = getattr(definitions, name)
    prompt = np.array(["a"], object)
    with Client(server.grpc_url) as client:
        texts = [str(answer[0]) for answer in client.stream(stream, prompt, options={"max_tokens": 3})]
    with Client(server.http_url) as client:
        generated = [answer["output"] for answer in client.generate_stream(name, prompt="a", max_tokens=3)]

    assert texts == generated == ["a0", "a1", "a2"]


def test_a_server_and_a_manifest_tell_of_models_alike(server: Server, repository: Path) -> None:
    """Of which one keeps a state between requests, and one streams."""
    told = [read_repository(repository), *map(read_server, (server.http_url, server.grpc_url))]
    assert {(stub.signature.decoupled, stub.signature.sequence) for stub in told[0]} > {(True, False), (False, True)}
    assert len({fingerprint(stubs) for stubs in told}) == 1


@pytest.mark.parametrize("protocol", ["http", "grpc"])
def test_a_generated_module_says_them_to_any_model(server: Server, protocol: str) -> None:
    """A server doesn't tell which models read them."""
    url = server.http_url if protocol == "http" else server.grpc_url
    names: dict[str, Any] = {}
    exec(compile(generate(read_server(url)), "made", "exec"), names)
    with names["connect"](url) as models:
        assert json.loads(models.told(X, parameters=TOLD)[0, 0]) == TOLD
        assert models.told(X).tolist() == [[b"{}"]]
        assert json.loads(models.client.call(names["TOLD"], x=X, parameters={"a": 1})[0, 0]) == {"a": 1}
        with models.Total() as steps:
            assert steps.infer(X, parameters={"by": 3}).tolist() == [[3, 3]]
        with pytest.raises(InvalidRequest, match="parameter"):
            models.told(X, parameters={"sequence_id": 1})
        if protocol == "grpc":
            prompt = np.array(["a"], object)
            assert len(list(models.tokens(prompt, parameters={"max_tokens": 2}))) == 2


def test_golden_samples_have_those_of_their_examples(client: Client, repository: Path) -> None:
    (chained,) = golden_of(repository, "chained")
    assert (chained.parameters, chained.outputs["output_0"].tolist()) == ({"by": 3, "add": 0.5}, [[4.5, 4.5]])
    (kept,) = golden_of(repository, "ascale")
    assert kept.parameters == {"by": 3}
    assert kept.outputs["output"].tolist() == [[3, 3]]
    verified = [one for one in verify(client, repository) if one.model in ("ascale", "chained")]
    assert [(one.samples, one.wrong, one.untried) for one in verified] == [(1, (), "")] * 2
    load = ModelLoad("ascale", data=Data(f"golden:{repository}"))
    with pytest.raises(InvalidLoad, match="samples of ascale have request parameters"):
        sweep(Settings(client.url, (load,), loads=(Load("concurrency", 1),)))


def test_an_input_that_generate_has_no_name_for_is_refused(server: Server) -> None:
    with (
        Client(server.http_url) as client,
        pytest.raises(InvalidRequest, match=r'input "id": Triton takes .* infer\(\)'),
    ):
        client.generate("told", x=[1, 1], id=3)


def test_what_can_not_be_sent_is_refused(client: Client) -> None:
    for wrong in ({"sequence_id": 1}, {"a": [1]}, [1]):
        with pytest.raises(InvalidRequest, match="parameter"):
            client.call(definitions.told, X, wrong)  # type: ignore[arg-type, unused-ignore]
    with pytest.raises(InvalidRequest, match=r"request parameters are sent by call\(\)"):
        list(client.map(definitions.told, [{"x": X, "options": {"a": 1}}]))


def test_stock_clients_say_them_as_they_do(server: Server) -> None:
    http, grpc = server.http_url.removeprefix("http://"), server.grpc_url.removeprefix("grpc://")
    for module, url in ((tritonclient.http, http), (tritonclient.grpc, grpc)):
        given = module.InferInput("x", [1, 2], "FP32")
        given.set_data_from_numpy(X)
        with module.InferenceServerClient(url) as stock:
            told = {name: value for name, value in TOLD.items() if name != "ratio" or module is tritonclient.http}
            answer = stock.infer("told", [given], parameters=told).as_numpy("output")
        assert json.loads(answer[0, 0]) == told


def test_a_json_request_says_them_in_its_field(server: Server) -> None:
    body = {"inputs": [{"name": "x", "shape": [1, 2], "datatype": "FP32", "data": [1, 1]}], "parameters": TOLD}
    sent = urllib.request.Request(f"{server.http_url}/v2/models/told/infer", json.dumps(body).encode())
    with urllib.request.urlopen(sent, timeout=30) as response:
        (output,) = json.load(response)["outputs"]

    assert json.loads(output["data"][0]) == TOLD
