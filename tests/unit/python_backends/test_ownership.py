"""Results that are kept while the function runs again: functions fill and return buffers of their own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
import pytest
import stub_utils
from stub_utils import InferenceRequest, outputs, tensor
from tritonforge_runtime.async_execution import AsyncExecution, AsyncStreams
from tritonforge_runtime.execution import Execution
from tritonforge_runtime.failure import Failures
from tritonforge_runtime.ownership import own, own_result
from tritonforge_runtime.padding import PaddedDim, Padding
from tritonforge_runtime.parts import FunctionPart, PartSpec
from tritonforge_runtime.separate import SeparateExecution
from tritonforge_runtime.sequences import Sequences
from tritonforge_runtime.spec import ModelSpec, TensorSpec, parse_spec
from tritonforge_runtime.streams import Streams
from tritonforge_runtime.wire import STARTS, Wire

PATIENCE_S = 10.0


class Buffered:
    """Adds one, in a buffer that it keeps; fails where a value is below zero."""

    def __init__(self) -> None:
        self.buffer = np.zeros(64, np.float32)

    def start(self) -> None:
        return None

    def __call__(self, *state: None, x: np.ndarray) -> np.ndarray:
        if (x < 0).any():
            raise ValueError("negative")
        out = self.buffer[: x.size].reshape(x.shape)
        np.add(x, 1, out=out)
        return out


class Single(NamedTuple):
    y: Any


def spec(dim: int = 1, *, decoupled: bool = False, **more: Any) -> ModelSpec:
    args = stub_utils.arguments([tensor("x", "FP32", [dim])], [tensor("y", "FP32", [dim])], decoupled=decoupled, **more)
    return parse_spec(args["model_config"])


def request(*row: float, batched: bool = True, **more: Any) -> InferenceRequest:
    return InferenceRequest(x=np.array([row] if batched else row, np.float32), **more)


def made(kind: Any, of: ModelSpec, function: Any = None, **more: Any) -> Any:
    return kind(of, Wire(of, ()), function or Buffered(), Failures("fraud"), **more)


def rows(responses: list[Any]) -> list[Any]:
    return [None if each.has_error() else outputs(each)["y"].ravel().tolist() for each in responses]


def test_groups_of_other_shapes_keep_their_answers() -> None:
    run = made(Execution, spec(-1))
    assert rows(run([request(1), request(2, 3), request(4), request(5, 6, 7)])) == [[2], [3, 4], [5], [6, 7, 8]]


def test_requests_without_a_batch_keep_their_answers() -> None:
    run = made(Execution, spec(-1, max_batch_size=0))
    assert rows(run([request(1, batched=False), request(2, batched=False)])) == [[2], [3]]


def test_requests_that_are_run_again_keep_their_answers() -> None:
    assert rows(made(Execution, spec())([request(1), request(-1), request(2)])) == [[2], None, [3]]


def test_padded_requests_that_are_run_again_keep_their_answers() -> None:
    dim = PaddedDim("n", 0, inputs=[("x", 1)], outputs=[("y", 1)])
    run = made(Execution, spec(-1), padding=Padding([dim], ["x"], ["y"]))
    assert rows(run([request(1), request(-1), request(2, 3)])) == [[2], None, [3, 4]]


def test_sequences_keep_their_answers() -> None:
    of = spec(sequence_batching={"control_input": []})
    run = Sequences(of, of.sequence, Wire(of, ()), Buffered(), Failures("total"))  # type: ignore[arg-type]  # it has one
    assert rows(run([request(number, correlation_id=number, flags=STARTS) for number in (1, 2)])) == [[2], [3]]
    run.close()


@pytest.mark.parametrize("form", [lambda y: y, lambda y: (y,), lambda y: {"y": y}, Single])
def test_bodies_side_by_side_keep_their_answers(form: Callable[[Any], Any]) -> None:
    buffered = Buffered()
    run = made(SeparateExecution, spec(), lambda x: form(buffered(x=x)))
    assert rows(run([request(1), request(2), request(3)])) == [[2], [3], [4]]
    run.close()


@pytest.fixture
def asynchronous() -> Iterator[Callable[..., list[Any]]]:
    """Run requests of an async function that fills a buffer; give their answers."""
    runs: list[Any] = []

    def run(requests: list[InferenceRequest], **more: Any) -> list[Any]:
        buffered = Buffered()

        async def predict(x: np.ndarray) -> np.ndarray:
            await asyncio.sleep(0)
            return buffered(x=x)

        runs.append(made(AsyncExecution, spec(-1), predict, **more))
        runs[-1](requests)
        assert all(each.sender.finished.wait(PATIENCE_S) for each in requests)
        return rows([response for each in requests for response in each.sender.responses])

    yield run
    for each in runs:
        each.close()


def test_async_calls_keep_their_answers(asynchronous: Callable[..., list[Any]]) -> None:
    assert asynchronous([request(1), request(2)], stacked=False) == [[2], [3]]
    assert asynchronous([request(1), request(2, 3)]) == [[2], [3, 4]]
    assert asynchronous([request(1), request(-1), request(2)]) == [[2], None, [3]]


def test_streams_keep_their_responses() -> None:
    """What is yielded is sent at once."""
    buffered = Buffered()

    def stream(x: np.ndarray) -> Iterator[np.ndarray]:
        yield buffered(x=x)
        yield buffered(x=x + 1)

    async def async_stream(x: np.ndarray) -> AsyncIterator[np.ndarray]:
        yield buffered(x=x)
        yield buffered(x=x + 1)

    for kind, function in ((Streams, stream), (AsyncStreams, async_stream)):
        each = request(1)
        run = made(kind, spec(decoupled=True), function)
        run([each])
        assert each.sender.finished.wait(PATIENCE_S)
        assert rows(each.sender.responses) == [[2], [3]]
        run.close()


def test_a_result_that_nobody_else_holds_is_not_copied() -> None:
    places: list[int] = []

    def predict(x: np.ndarray) -> np.ndarray:
        result = np.concatenate([x, x])[: len(x)]
        places.append(result.ctypes.data)
        return result

    responses = made(Execution, spec(-1), predict)([request(1), request(2, 3)])

    assert [response.output_tensors()[0].given.ctypes.data for response in responses] == places


@pytest.mark.parametrize(
    "held",
    [
        lambda array: array,
        lambda array: array[1:],
        lambda array: array[:, None][1:],
        memoryview,
        lambda array: (array,),
    ],
)
def test_what_somebody_else_holds_is_copied(held: Callable[[Any], Any]) -> None:
    array = np.arange(3)
    place = array.ctypes.data
    other = held(array)
    arrays = [array]
    del array

    assert own(arrays)[0].ctypes.data != place
    del other


@pytest.mark.parametrize("make", [lambda: np.arange(3), lambda: np.arange(9).reshape(3, 3)[1:, 0]])
def test_what_is_alone_stays(make: Callable[[], Any]) -> None:
    arrays = [make()]
    place = arrays[0].ctypes.data

    assert own(arrays)[0].ctypes.data == place


def test_memory_of_others_is_copied() -> None:
    memory = bytearray(8)
    arrays = own([np.frombuffer(memory, np.uint8)])
    memory[0] = 1

    assert arrays[0][0] == 0


def test_what_a_call_was_given_stays_once() -> None:
    given = np.arange(4)
    one, two, other = own([given[:2], given[2:], "text"], [given, None])

    assert np.shares_memory(one, given)
    assert not np.shares_memory(two, given)
    assert other == "text"


def test_a_tuple_that_is_kept_is_not_alone() -> None:
    kept = (np.zeros(2), np.zeros(2))
    result = own_result([kept])

    assert type(result) is tuple
    assert not any(map(np.shares_memory, result, kept))


STEP = PartSpec(
    "serving",
    "step",
    name="step",
    batched=True,
    inputs=(TensorSpec("x", "FP32", (1,)),),
    outputs=(TensorSpec("output", "FP32", (1,)),),
)
X = np.array([[1]], np.float32)


def step(function: Callable[..., Any], of: PartSpec = STEP) -> FunctionPart:
    part = FunctionPart(function)
    part.load_part(of)
    return part


def test_a_step_of_a_fused_pipeline_that_runs_twice_keeps_its_first_result() -> None:
    buffered = Buffered()
    part = step(lambda x: buffered(x=x))
    first = part(X)
    second = part(first)

    assert (first.item(), second.item()) == (2, 3)


def test_an_async_step_keeps_its_results() -> None:
    buffered = Buffered()

    async def add(x: np.ndarray) -> np.ndarray:
        return buffered(x=x)

    async def body() -> list[Any]:
        return await asyncio.gather(*(step(add)(X + number) for number in range(2)))

    assert [found.item() for found in asyncio.run(body())] == [2, 3]


def test_a_later_step_writes_into_no_table_of_an_earlier_one() -> None:
    table = np.array([[9]], np.float32)

    def lower(x: np.ndarray) -> np.ndarray:
        x -= 1
        return x

    assert step(lower)(step(lambda x: table)(X)).item() == 8
    assert table.item() == 9


def test_twins_of_a_step_are_two_arrays() -> None:
    pair = PartSpec(
        "serving",
        "pair",
        name="pair",
        batched=True,
        inputs=STEP.inputs,
        outputs=(TensorSpec("a", "FP32", (1,)), TensorSpec("b", "FP32", (1,))),
    )
    a, b = step(lambda x: (x, x), pair)(X)

    assert not np.shares_memory(a, b)


def test_a_step_that_gives_its_input_or_a_new_array_copies_nothing() -> None:
    places: list[int] = []

    def new(x: np.ndarray) -> np.ndarray:
        result = x + 1
        places.append(result.ctypes.data)
        return result

    assert step(lambda x: x)(X) is X
    assert step(new)(X).ctypes.data == places[0]
