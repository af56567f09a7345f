"""One sequence: its requests one at a time, in the order of asking, and none after a doubt, an end, or the block."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from tritonforge.client import Client, DeadlineExceeded, InferenceFailed, InvalidRequest, Result
from tritonforge.client.calls.sequences import Said, SequenceCore
from tritonforge.client.calls.turns import Turns, turns_of_tasks, turns_of_threads
from tritonforge.client.concurrency.blocking import finish
from tritonforge.client.deadline import Deadline
from tritonforge.client.errors import Target
from tritonforge.client.stub import Stub, only
from tritonforge.ir import Signature, TensorSpec


class Model:
    """Answers a request once it may, and keeps what was sent."""

    def __init__(self, *, free: bool = True) -> None:
        self.sent: list[tuple[Any, bool, bool]] = []
        self.asked = threading.Event()
        self.free = threading.Event()
        self.free_task = asyncio.Event()
        if free:
            self.free.set()
            self.free_task.set()

    async def block(self, inputs: Mapping[str, Any], parameters: Mapping[str, Any], options: Mapping[str, Any]) -> Any:
        self.take(inputs, parameters)
        assert self.free.wait(60)
        return self.answer(inputs)

    async def wait(self, inputs: Mapping[str, Any], parameters: Mapping[str, Any], options: Mapping[str, Any]) -> Any:
        self.take(inputs, parameters)
        await self.free_task.wait()
        return self.answer(inputs)

    def take(self, inputs: Mapping[str, Any], parameters: Mapping[str, Any]) -> None:
        self.sent.append((inputs["x"], "sequence_start" in parameters, "sequence_end" in parameters))
        self.asked.set()

    def answer(self, inputs: Mapping[str, Any]) -> Result:
        return Result({"y": np.array(inputs["x"])}, model="m", model_version="1", id="", parameters={})


def core(
    send: Any, turns: Turns, *, closing: Said | None = None, timeout_s: float = 60, replay: bool = False
) -> SequenceCore:
    return SequenceCore(
        send,
        Target("http://h:1", "m"),
        turns=turns,
        clock=lambda given: Deadline(timeout_s if given is None else given),
        sequence_id=None,
        closing=closing,
        replay=replay,
    )


def infer(sequence: SequenceCore, x: int, *, end: bool = False, **options: Any) -> Any:
    return sequence.infer({"x": x}, end=end, parameters={}, options=options)


def test_tasks_go_in_the_order_of_asking_and_the_first_alone_starts():
    async def main() -> None:
        model = Model()
        sequence = core(model.wait, turns_of_tasks())
        await asyncio.gather(*[infer(sequence, x, end=x == 4) for x in range(5)])
        assert model.sent == [(x, x == 0, x == 4) for x in range(5)]
        with pytest.raises(RuntimeError, match="has ended"):
            await infer(sequence, 5)

    asyncio.run(main())


def test_a_thread_waits_for_the_one_before_and_no_longer_than_its_limit():
    model = Model(free=False)
    sequence = core(model.block, turns_of_threads())
    first = threading.Thread(target=lambda: finish(infer(sequence, 0)))
    first.start()
    assert model.asked.wait(60)
    with pytest.raises(
        DeadlineExceeded, match=r"not sent within 0\.01 s: requests of the sequence before it are under"
    ):
        finish(infer(sequence, 1, timeout_s=0.01))
    third = threading.Thread(target=lambda: finish(infer(sequence, 2)))
    third.start()
    model.free.set()
    first.join(60)
    third.join(60)
    assert model.sent == [(0, True, False), (2, False, False)]


def test_a_task_that_is_cancelled_while_it_waits_lets_the_next_one_go():
    async def main() -> None:
        model = Model(free=False)
        sequence = core(model.wait, turns_of_tasks())
        tasks = [asyncio.ensure_future(infer(sequence, x)) for x in range(3)]
        while not model.sent:
            await asyncio.sleep(0)
        tasks[1].cancel()
        model.free_task.set()
        await asyncio.wait(tasks)
        assert tasks[1].cancelled()
        assert model.sent == [(0, True, False), (2, False, False)]

    asyncio.run(main())


def test_after_a_request_that_was_broken_off_the_state_is_unknown():
    async def main() -> None:
        model = Model(free=False)
        sequence = core(model.wait, turns_of_tasks())
        task = asyncio.ensure_future(infer(sequence, 0))
        while not model.sent:
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])
        with pytest.raises(InvalidRequest, match=r"unknown since a request of it was broken off \(CancelledError\)"):
            await infer(sequence, 1)
        assert len(model.sent) == 1

    asyncio.run(main())


@pytest.mark.parametrize("sent", [True, False])
def test_after_a_request_that_is_late_the_state_is_known_if_that_was_not_sent(sent):
    async def late(*_: Any) -> Result:
        raise DeadlineExceeded("no connection within 1 s", Target("http://h:1", "m"), sent=sent)

    model = Model()
    sequence = core(model.block, turns_of_threads())
    finish(infer(sequence, 0))
    sequence._send = late
    with pytest.raises(DeadlineExceeded):
        finish(infer(sequence, 1))
    sequence._send = model.block
    if sent:
        with pytest.raises(InvalidRequest, match="the state of the sequence is unknown since"):
            finish(infer(sequence, 1))
    else:
        finish(infer(sequence, 1))
    assert model.sent == [(0, True, False), *([] if sent else [(1, False, False)])]


def test_a_sequence_that_the_server_has_no_more_is_told_as_that():
    words = "inference request for sequence 1 to model 'm' must specify the START flag on the first request"
    told = r"on the first request; the sequence has begun, but .* idle for longer than the model allows \(max_idle_us\)"

    async def forget(*request: Any) -> Any:
        error = InvalidRequest(words, Target("http://h:1", "m"))
        error.code = "400"
        raise error

    sequence = core(Model().block, turns_of_threads())
    finish(infer(sequence, 0))
    sequence._send = forget
    with pytest.raises(InvalidRequest, match=told) as caught:
        finish(infer(sequence, 1))
    assert caught.value.code == "400"
    with pytest.raises(InvalidRequest, match=r"first request$"):  # a server's own words, of one that had not begun
        finish(infer(core(forget, turns_of_threads()), 0))


def test_after_the_block_nothing_is_sent_but_what_closes_it():
    model = Model()
    sequence = core(model.block, turns_of_threads(), closing=Said({"x": 9}, {}, {}))
    finish(infer(sequence, 0))
    finish(sequence.close(failed=False))
    assert model.sent == [(0, True, False), (9, False, True)]
    with pytest.raises(RuntimeError, match=r"the sequence's block has ended; begin another with client\.sequence"):
        finish(infer(sequence, 1))


class Kept:
    """Keeps what was sent, as it was then, and raises the error that it is given for once."""

    def __init__(self) -> None:
        self.sent: list[tuple[list[int], dict[str, Any], dict[str, Any]]] = []
        self.errors: dict[int, BaseException] = {}

    async def send(self, inputs: Mapping[str, Any], parameters: Mapping[str, Any], options: Mapping[str, Any]) -> Any:
        own = {name: value for name, value in parameters.items() if name != "sequence_id"}
        self.sent.append((inputs["x"].tolist(), own, dict(options)))
        if error := self.errors.pop(len(self.sent), None):
            raise error
        return Result({}, model="m", model_version="1", id="", parameters={})


def test_a_replay_says_what_each_request_said_in_the_time_of_the_one_that_asks_for_it():
    kept = Kept()
    kept.errors[3] = DeadlineExceeded("late", Target("http://h:1", "m"), sent=True)
    sequence = core(kept.send, turns_of_threads(), replay=True)
    x, parameters, headers = np.zeros(2, np.int64), {"by": 0}, {"tenant": "a"}

    def step(number: int, **options: Any) -> None:
        x[:] = parameters["by"] = number
        headers["tenant"] = f"a{number}"
        coming = sequence.infer({"x": x}, end=False, parameters=parameters, options={"headers": headers, **options})
        finish(coming)

    step(1, request_id="one", timeout_s=7)
    step(2, outputs=["y"])
    with pytest.raises(DeadlineExceeded):
        step(3)
    step(4, timeout_s=9)
    left = [options.pop("timeout_s") for *_, options in kept.sent[3:]]
    assert 9 > left[0] > left[1] > left[2] > 0
    assert kept.sent[3:] == [
        ([1, 1], {"by": 1, "sequence_start": True}, {"headers": {"tenant": "a1"}, "request_id": "one"}),
        ([2, 2], {"by": 2}, {"headers": {"tenant": "a2"}, "outputs": ["y"]}),
        ([4, 4], {"by": 4}, {"headers": {"tenant": "a4"}}),
    ]


def test_a_replay_takes_no_longer_than_the_call_that_asks_for_it():
    class Slow(Kept):
        async def send(self, inputs: Mapping[str, Any], parameters: Mapping[str, Any], options: Any) -> Any:
            time.sleep(0.1)
            return await super().send(inputs, parameters, options)

    slow = Slow()
    slow.errors[4] = DeadlineExceeded("late", Target("http://h:1", "m"), sent=True)
    sequence = core(slow.send, turns_of_threads(), replay=True)

    def step(number: int, **options: Any) -> None:
        finish(sequence.infer({"x": np.array([number])}, end=False, parameters={}, options=options))

    for number in (1, 2, 3):
        step(number)
    with pytest.raises(DeadlineExceeded):
        step(4)
    with pytest.raises(DeadlineExceeded, match=r"not sent within 0\.15 s: the requests before it are sent again"):
        step(4, timeout_s=0.15)
    assert len(slow.sent) == 6
    step(4)
    assert [x for (x,), *_ in slow.sent[6:]] == [1, 2, 3, 4]


def test_a_replay_that_fails_half_way_is_begun_anew():
    kept = Kept()
    kept.errors[3] = DeadlineExceeded("late", Target("http://h:1", "m"), sent=True)
    kept.errors[5] = InferenceFailed("no memory", Target("http://h:1", "m"))
    sequence = core(kept.send, turns_of_threads(), replay=True)

    def step(number: int) -> None:
        finish(sequence.infer({"x": np.array([number])}, end=False, parameters={}, options={}))

    step(1)
    step(2)
    for error in (DeadlineExceeded, InferenceFailed):
        with pytest.raises(error):
            step(3)
    step(4)
    assert [x[0] for x, *_ in kept.sent] == [1, 2, 3, 1, 2, 1, 2, 4]
    assert kept.sent[5][1] == {"sequence_start": True}


def test_what_is_wrong_with_the_inputs_that_are_to_close_a_sequence_is_told_of_those():
    total = Stub("m", Signature((TensorSpec("x", "FP32", (2,)),), (), batched=False), only)
    with pytest.raises(InvalidRequest) as caught:
        Client("http://127.0.0.1:1").sequence(total, closing={"y": np.ones(2, np.float32)})
    assert caught.value.reason.startswith("closing: 2 mistakes\n")


def test_what_is_wrong_with_the_parameters_that_are_to_close_a_sequence_is_told_of_those():
    total = Stub(
        "m", Signature((TensorSpec("x", "FP32", (2,)),), (), batched=False, request_parameters="options"), only
    )
    with pytest.raises(InvalidRequest) as caught:
        Client("http://127.0.0.1:1").sequence(total, closing={"x": np.ones(2, np.float32), "options": {"by": [1]}})
    assert caught.value.reason.startswith('closing: the parameter "by" is a list')
