"""What mypy says of calls through definitions that are decorated classes, of which it knows the class alone."""

from __future__ import annotations

from pathlib import Path

from type_checks import mypy_errors

DEFINED = """
from collections.abc import AsyncIterator, Iterator

import numpy as np
from jaxtyping import Float32

from tritonforge import Batching, Sequence, model

@model
class Embed:
    def __call__(self, x: Float32[np.ndarray, "batch 3"]) -> Float32[np.ndarray, "batch 3"]:
        return x

@model(batching=Batching(max_batch_size=4))
class Later:
    async def __call__(self, x: Float32[np.ndarray, "batch 3"]) -> Float32[np.ndarray, "batch 3"]:
        return x

@model
class Count:
    def __call__(self, x: Float32[np.ndarray, "3"]) -> Iterator[Float32[np.ndarray, "3"]]:
        yield x

@model
class CountLater:
    async def __call__(self, x: Float32[np.ndarray, "3"]) -> AsyncIterator[Float32[np.ndarray, "3"]]:
        yield x

@model(sequence=Sequence(), batching=Batching(max_batch_size=4))
class Total:
    def start(self) -> dict[str, float]:
        return {}

    def __call__(self, state: dict[str, float], x: Float32[np.ndarray, "batch 1"]) -> Float32[np.ndarray, "batch 1"]:
        return x

class PlainEmbed:
    def __call__(self, x: Float32[np.ndarray, "batch 3"]) -> Float32[np.ndarray, "batch 3"]:
        return x

by_hand = model(name="Embed")(PlainEmbed)
"""

USE = """
from typing import Any

import numpy as np
from defined import Count, CountLater, Embed, Later, Total, by_hand
from typing_extensions import assert_type

from tritonforge.client import AsyncClient, Client

Array = np.ndarray[Any, Any]

def use(client: Client, x: Array) -> None:
    assert_type(client.call(Embed, x, timeout_s=5), Array)
    assert_type(client.call(Later, x), Array)
    assert_type(client.map(Embed, [x]).merge(), Array)
    for number in client.stream(Count, x):
        assert_type(number, Array)
    for number in client.stream(CountLater, x):
        assert_type(number, Array)
    with client.sequence(Total, closing={"x": x}) as steps:
        assert_type(steps.infer(x, end=True), Array)
    assert_type(client.call(by_hand, x), Array)
    assert_type(by_hand(x), Array)
    client.call(Embed, x).nothing

async def use_async(client: AsyncClient, x: Array) -> None:
    assert_type(await client.call(Embed, x), Array)
    assert_type(await client.call(Later, x), Array)
    assert_type(await client.map(Embed, [x]).merge(), Array)
    async for number in client.stream(Count, x):
        assert_type(number, Array)
    async with client.sequence(Total) as steps:
        assert_type(await steps.infer(x), Array)
"""


MISTAKEN = """
from collections.abc import AsyncIterator

from defined import Embed

from tritonforge.client import AsyncClient, Client

def use(client: Client, later: AsyncClient, batches: AsyncIterator[object]) -> None:
    later.map("m", batches)
    later.map(Embed, batches)
    client.map("m", batches)
    client.map(Embed, 3)
    later.map("m", None)
"""


def test_inputs_that_a_map_cant_read_are_told(tmp_path: Path) -> None:
    (tmp_path / "defined.py").write_text(DEFINED, encoding="utf-8")
    (tmp_path / "use.py").write_text(MISTAKEN, encoding="utf-8")
    errors = [line for line in mypy_errors(tmp_path, "defined.py", "use.py") if line.startswith("use.py")]
    assert [int(line.split(":")[1]) for line in errors if "error:" in line] == [11, 12, 13], errors


def test_calls_through_decorated_classes_are_typed_by_what_they_return(tmp_path: Path) -> None:
    (tmp_path / "defined.py").write_text(DEFINED, encoding="utf-8")
    (tmp_path / "use.py").write_text(USE, encoding="utf-8")
    found = mypy_errors(tmp_path, "defined.py", "use.py")
    errors = [line for line in found if "[type-arg]" not in line]  # a bare np.ndarray
    assert len(errors) == 1, found
    assert '"nothing"' in errors[0]
