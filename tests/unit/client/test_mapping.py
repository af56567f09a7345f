"""What `map` makes of its inputs, before anything is sent."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from tritonforge.client.calls.map_calls import AsyncMapped
from tritonforge.client.calls.mapping import Mapped, Work, make_work
from tritonforge.client.errors import InvalidRequest, Target
from tritonforge.client.metadata import ServedModel
from tritonforge.client.result import Result
from tritonforge.client.stub import Stub, only
from tritonforge.ir import Signature, TensorSpec

SIGNATURE = Signature(
    (TensorSpec("scores", "FP32", (2,)), TensorSpec("who", "BYTES", (1,), optional=True)),
    (TensorSpec("y", "FP32", ()),),
    batched=True,
)


DEFINED = Stub("survey", SIGNATURE, only)


def work(inputs: Any, signature: Signature = SIGNATURE, *, model: Any = "survey", **more: Any) -> Work:
    served = ServedModel("survey", ("1",), "", signature, 8 if signature.batched else 0)
    settings = {"batch_size": None, "concurrency": 2, "ordered": True, "progress": None, **more}
    return make_work(model, inputs, served, Target("http://h:1", "survey"), **settings)


def arrays(scores: int, who: int) -> dict[str, np.ndarray]:
    return {"scores": np.ones((scores, 2), np.float32), "who": np.full((who, 1), "a", object)}


@pytest.mark.parametrize("name", ["batch_size", "concurrency"])
@pytest.mark.parametrize(
    ("value", "error", "message"),
    [
        (1.5, TypeError, "is 1.5; it takes a whole number"),
        ("2", TypeError, "is '2'; it takes a whole number"),
        (True, TypeError, "is True; it takes a whole number"),
        (0, ValueError, "is 0; it must be 1 or more"),
    ],
)
def test_settings_that_are_no_whole_numbers_are_refused_by_name(name, value, error, message):
    with pytest.raises(error, match=f"{name} {message}"):
        work([], **{name: value})


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("ordered", "no", "is a str; it is True or False"),
        ("progress", 5, "is an int; it is a function"),
        ("progress", asyncio.sleep, "is an async function, which nobody would await"),
    ],
)
def test_other_settings_are_held_against_their_types_before_the_first_request(name, value, message):
    with pytest.raises(TypeError, match=f"{name} {message}"):
        work([], **{name: value})


def test_settings_may_be_whole_numbers_of_numpy():
    assert len(list(work(arrays(4, 4), batch_size=np.int64(2), concurrency=np.int32(1)).pieces)) == 2


@pytest.mark.parametrize(("scores", "who"), [(32, 40), (33, 40), (40, 32), (3, 4)])
def test_arrays_of_different_lengths_are_refused_up_front(scores, who):
    with pytest.raises(InvalidRequest, match=f'input "scores" has {scores} rows, and "who" has {who}'):
        work(arrays(scores, who))


def test_a_batch_of_arrays_of_different_lengths_is_refused_when_it_is_read():
    pieces = work([arrays(9, 9), arrays(9, 10)]).pieces
    assert [piece.rows for piece in (next(pieces), next(pieces))] == [8, 1]
    with pytest.raises(InvalidRequest, match='"scores" has 9 rows, and "who" has 10'):
        next(pieces)


@pytest.mark.parametrize(
    ("model", "item", "words"),
    [
        (DEFINED, {"scores": np.ones((4, 2))}, 'input "scores": FP64'),
        (DEFINED, (np.ones((4, 2), np.float32), None, 1), "3 positional inputs given, 2 wanted"),
        (DEFINED, 5, 'input "scores": '),
        ("survey", arrays(1, 2), 'input "scores" has 1 rows'),
        ("survey", 5, "it is no mapping, and the model has several inputs"),
    ],
)
def test_an_item_that_can_not_be_read_is_refused_by_its_number(model, item, words):
    pieces = work([*[{"scores": np.ones((9, 2), np.float32)}] * 2, item], model=model).pieces
    for _ in range(4):  # two of either
        next(pieces)
    with pytest.raises(InvalidRequest) as caught:
        next(pieces)
    assert caught.value.reason.startswith(f"item 2: {words}")


def test_an_error_of_the_iterable_is_its_own():
    def batches() -> Iterator[Any]:
        yield arrays(1, 1)
        raise InvalidRequest("of another call", Target("http://h:2"))

    pieces = work(batches()).pieces
    next(pieces)
    with pytest.raises(InvalidRequest) as caught:
        next(pieces)
    assert caught.value.reason == "of another call"


def test_an_input_that_is_left_out_has_no_rows_and_a_model_without_a_batch_takes_any():
    assert len(list(work({**arrays(16, 1), "who": None}).pieces)) == 2
    unbatched = Signature(SIGNATURE.inputs, SIGNATURE.outputs, batched=False)
    assert len(list(work(arrays(16, 3), unbatched).pieces)) == 1


def test_what_has_no_rows_is_left_to_the_checks_of_each_request():
    first, _ = work({"scores": np.ones((16, 2), np.float32), "who": np.array("a")}).pieces
    assert first.inputs["who"].ndim == 0


@pytest.mark.parametrize("given", [3, "text", object()])
def test_what_is_no_iterable_of_batches_is_refused_with_its_kind(given):
    with pytest.raises(InvalidRequest, match=r"this is an? (int|str|object)$") as caught:
        work(given)
    assert " a int" not in str(caught.value)


def test_a_data_frame_is_told_how_it_is_given():
    """To iterate over one of pandas gives the names of its columns."""

    frame = type("DataFrame", (), {"__iter__": lambda self: iter("a"), "columns": "a", "to_numpy": None})()
    with pytest.raises(
        InvalidRequest, match=r"this is a DataFrame: \{name: frame\[name\]\.to_numpy\(\) for name in frame"
    ):
        work(frame)


def test_an_asynchronous_generator_is_refused_by_that_name():
    async def batches():
        yield arrays(1, 1)

    with pytest.raises(InvalidRequest, match=r"this is an async generator, which AsyncClient reads from"):
        work(batches())


def results(count: int):
    for number in range(count):
        yield number, Result({"y": np.array([number])})


def test_what_was_read_from_can_not_be_merged_any_more():
    for read in (next, lambda mapped: next(mapped.indexed())):
        mapped = Mapped(results(5), lambda result: result)
        read(mapped)
        with pytest.raises(RuntimeError, match="1 of the results have been read"):
            mapped.merge()
    merged = Mapped(results(5), lambda result: result)
    assert merged.merge().y.tolist() == [0, 1, 2, 3, 4]
    with pytest.raises(RuntimeError, match="5 of the results have been read"):
        merged.merge()


def test_no_batches_are_no_requests_and_nothing_to_merge_and_no_rows_are_one_item():
    assert list(work([]).pieces) == []
    assert [piece.rows for piece in work({"scores": np.ones((0, 2), np.float32)}).pieces] == [0]
    with pytest.raises(ValueError, match="there are no results to merge"):
        Mapped(results(0), lambda result: result).merge()


def test_nor_what_was_read_from_in_a_loop():
    async def answers():
        for number, result in results(5):
            yield number, result, lambda made: made

    async def main():
        read = AsyncMapped(answers())
        await anext(read)
        with pytest.raises(RuntimeError, match="1 of the results have been read"):
            await read.merge()
        indexed = AsyncMapped(answers())
        await anext(indexed.indexed())
        with pytest.raises(RuntimeError, match="have been read"):
            await indexed.merge()
        merged = AsyncMapped(answers())
        assert (await merged.merge()).y.tolist() == [0, 1, 2, 3, 4]
        with pytest.raises(RuntimeError, match="5 of the results have been read"):
            await merged.merge()

    asyncio.run(main())
