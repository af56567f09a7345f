"""Models that are loaded anew between calls, and those that leave outputs out: what was known of them is asked anew."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from tritonforge.client import AsyncClient, Client, InferenceFailed, InvalidRequest, Retries

from .fault_server import FaultServer, Peer
from .small_servers import ok

X = np.ones((9, 2), np.float32)


@dataclass
class Model:
    """What a server has loaded: it adds 1 to x of `[rows, 2]`, and refuses as Triton does."""

    datatype: str = "FP32"
    most: int = 16
    outputs: tuple[str, ...] = ("y",)
    given: tuple[str, ...] = ("y",)
    sizes: list[int] = field(default_factory=list)

    def serve(self, peer: Peer) -> None:
        while request := peer.request():
            head, _, body = request.partition(b"\r\n\r\n")
            if head.startswith(b"POST"):
                length = int(head.split(b"Inference-Header-Content-Length: ")[1].split(b"\r\n")[0])
                peer.send(self._infer(json.loads(body[:length])))
            elif b"/config" in head:
                peer.send(answer({"max_batch_size": self.most}))
            else:
                x = {"name": "x", "datatype": self.datatype, "shape": [-1, 2]}
                outputs = [{"name": name, "datatype": "FP32", "shape": [-1]} for name in self.outputs]
                peer.send(answer({"name": "m", "inputs": [x], "outputs": outputs}))

    def _infer(self, asked: dict[str, Any]) -> bytes:
        x = asked["inputs"][0]
        rows = x["shape"][0]
        if x["datatype"] != self.datatype:
            return refusal(f"inference input 'x' data-type is '{x['datatype']}', but model 'm' expects another")
        if rows > self.most:
            return refusal(f"inference request batch-size must be <= {self.most} for 'm'")
        self.sizes.append(rows)
        named = {output["name"]: output.get("parameters", {}) for output in asked.get("outputs", ())}
        outputs = [
            output_of(name, rows, classes="classification" in named.get(name, {}))
            for name in named or self.outputs
            if name in self.given
        ]
        return answer({"model_name": "m", "outputs": outputs})


def output_of(name: str, rows: int, *, classes: bool) -> dict[str, Any]:
    if classes:
        return {"name": name, "datatype": "BYTES", "shape": [rows, 1], "data": ["1:0"] * rows}
    return {"name": name, "datatype": "FP32", "shape": [rows], "data": [1.0] * rows}


def answer(content: dict[str, Any]) -> bytes:
    return ok(json.dumps(content).encode())


def refusal(words: str) -> bytes:
    return answer({"error": words}).replace(b"200 OK", b"400 Bad Request")


@pytest.fixture
def model() -> Model:
    return Model()


@pytest.fixture
def client(model: Model) -> Iterator[Client]:
    with FaultServer(model.serve) as server, Client(server.url, retries=Retries(attempts=1)) as client:
        yield client


@pytest.mark.parametrize("given", [1, 300], ids=["refused by the server", "refused by the cast"])
def test_a_cast_is_made_anew_for_what_the_model_takes_now(model, client, given):
    model.datatype = "INT8"
    assert client.infer("m", x=[[1, 2]], cast="exact").y.tolist() == [1]
    model.datatype = "INT16"
    assert client.infer("m", x=[[given, 2]], cast="exact").y.tolist() == [1]
    assert model.sizes == [1, 1]


def test_a_cast_that_fails_for_the_model_as_it_is_fails(model, client):
    model.datatype = "INT8"
    for _ in range(2):
        with pytest.raises(InvalidRequest, match=r"300 \(int64\) can't be held in INT8"):
            client.infer("m", x=[[300, 2]], cast="exact")
    client.infer("m", x=[[1, 2]], cast="exact")
    model.most = 0
    with pytest.raises(InvalidRequest, match="batch-size must be <= 0"):
        client.infer("m", x=[[1, 2]], cast="exact")


async def map_async(url: str, inputs: Any, **options: Any) -> np.ndarray:
    async with AsyncClient(url) as client:
        await client.describe("m")
        options.pop("between")()
        return (await client.map("m", inputs, **options).merge()).y


def map_blocking(url: str, inputs: Any, **options: Any) -> np.ndarray:
    with Client(url) as client:
        client.describe("m")
        options.pop("between")()
        return client.map("m", inputs, **options).merge().y


def both(use: Callable[..., Any]) -> Any:
    return use(map_blocking), use(lambda *args, **options: asyncio.run(map_async(*args, **options)))


@pytest.mark.parametrize("before", [16, 0], ids=["a larger batch before", "no batch before"])
def test_map_cuts_anew_for_a_model_that_takes_fewer_rows_by_now(before):
    def use(mapped: Callable[..., np.ndarray]) -> None:
        model = Model(most=before)

        def reload() -> None:
            model.most = 4

        with FaultServer(model.serve) as server:
            assert mapped(server.url, {"x": X}, between=reload).tolist() == [1] * 9
        assert sorted(model.sizes) == [1, 4, 4]

    both(use)


def test_a_map_that_is_under_way_goes_on_with_the_smaller_batch():
    def use(mapped: Callable[..., np.ndarray]) -> None:
        model = Model()

        def batches() -> Iterator[dict[str, np.ndarray]]:
            for number in range(20):
                if number == 10:
                    model.most = 4
                yield {"x": X}

        with FaultServer(model.serve) as server:
            rows = mapped(server.url, batches(), concurrency=2, between=lambda: None)
        assert len(rows) == sum(model.sizes) == 180
        assert set(model.sizes) == {9, 4, 1}

    both(use)


def test_what_a_map_sends_in_parts_and_fails_names_its_item(model, client):
    client.describe("m")
    model.most, model.datatype = 4, "FP64"
    with pytest.raises(InvalidRequest, match='item 0: input "x": FP32'):
        client.map("m", [{"x": X}]).merge()


def test_outputs_of_which_none_was_named_may_be_left_out_with_top_too(model, client):
    model.outputs = ("y", "z")
    for _ in range(2):
        result = client.infer("m", x=X, top={"y": 1})
        assert {name: array.shape for name, array in result.outputs.items()} == {"y": (9, 1)}


@pytest.mark.parametrize(
    "named", [{"outputs": ["y", "z"]}, {"outputs": ["y", "z"], "top": {"y": 1}}, {"top": {"z": 1}}]
)
def test_an_output_that_was_named_may_not(model, client, named):
    model.outputs = ("y", "z")
    with pytest.raises(InferenceFailed, match="no output 'z', as asked for"):
        client.infer("m", x=X, **named)


def test_an_output_that_a_model_has_got_anew_comes_with_top_too(model, client):
    assert list(client.infer("m", x=X, top={"y": 1}).outputs) == ["y"]
    model.outputs = model.given = ("y", "z")
    assert list(client.infer("m", x=X, top={"y": 1}).outputs) == ["y", "z"]
