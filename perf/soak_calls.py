"""The calls of the soak test: each knows the one answer, or error, that it must get, and that it must get it once."""

from __future__ import annotations

import asyncio
import itertools
import random
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from contextlib import suppress
from typing import Any

import numpy as np
import soak_models as models
import tritonclient.grpc.aio as triton
from numpy.typing import NDArray
from tritonclient.utils import InferenceServerException

__all__ = ["Calls", "Wrong"]

PATIENCE_S = 60.0
"""A call without an answer by then is lost."""

Array = NDArray[np.int64]


class Wrong(Exception):
    """A call got what is not its own answer."""


class Calls:
    """Makes calls of all kinds, with values that no other call has."""

    def __init__(self, client: triton.InferenceServerClient, without: Collection[str] = ()) -> None:
        self._client = client
        self._values = itertools.count(1)
        self._random = random.Random(0)
        self.outcomes: Counter[str] = Counter()
        self.faults: list[str] = []
        self._kinds: dict[Callable[[], Awaitable[None]], int] = {
            self.good: 30,
            self.batch: 10,
            self.called: 10,
            self.failing: 12,
            self.cancelled: 6,
            self.late: 6,
            self.multiplexed: 3,
            self.streamed: 10,
            self.stream_failing: 4,
            self.stream_cancelled: 4,
            self.sequence: 5,
        }
        for kind in list(self._kinds):
            if kind.__name__ in without:
                del self._kinds[kind]

    async def one(self) -> None:
        """Make a call of a kind drawn by chance, and count how it ended."""
        kind = self._random.choices([*self._kinds], [*self._kinds.values()])[0]
        name = kind.__name__
        try:
            await asyncio.wait_for(kind(), PATIENCE_S)
            self.outcomes[name] += 1
        except (Wrong, InferenceServerException) as error:
            self.faults.append(f"{name}: {error}")
        except asyncio.TimeoutError:
            self.faults.append(f"{name}: no answer in {PATIENCE_S:.0f} s")

    async def good(self) -> None:
        """One row."""
        value = next(self._values)
        expect(await self._infer("plain", [[value, models.GOOD]]), [3 * value + 1])

    async def batch(self) -> None:
        """Several rows."""
        values = [next(self._values) for _ in range(self._random.randint(2, 8))]
        rows = [[value, models.GOOD] for value in values]
        expect(await self._infer("plain", rows), [3 * value + 1 for value in values])

    async def called(self) -> None:
        """Through a pipeline, well or not."""
        value = next(self._values)
        if value % 4:
            expect(await self._infer("calling", [[value, models.GOOD]]), [3 * value + 1])
        else:
            await self._fails("calling", [[value, models.RAISES]], f"raised for {value}.")

    async def failing(self) -> None:
        """With an exception, a refusal, or a result of the wrong form."""
        value = next(self._values)
        how, said = self._random.choice(
            [
                (models.RAISES, f"raised for {value}."),
                (models.REFUSES, f"refused {value}."),
                (models.WRONG, "has 0 rows"),
            ]
        )
        await self._fails("plain", [[value, how]], said)

    async def cancelled(self) -> None:
        """Given up by the client while it is under way."""
        call = asyncio.ensure_future(self._infer("plain", [[next(self._values), models.SLOW]]))
        await asyncio.sleep(self._random.random() * models.SLOW_S)
        call.cancel()
        with suppress(asyncio.CancelledError):
            await call

    async def late(self) -> None:
        """With a deadline that it misses, or just keeps."""
        value = next(self._values)
        try:
            expect(
                await self._infer("plain", [[value, models.SLOW]], client_timeout=models.SLOW_S / 2), [3 * value + 1]
            )
        except InferenceServerException as error:
            if "Deadline" not in str(error):
                raise

    async def multiplexed(self) -> None:
        """Several requests on one connection: one answer for each."""
        values = [next(self._values) for _ in range(8)]
        requests = [request("plain", [[value, models.GOOD]], request_id=str(value)) for value in values]
        found: Counter[tuple[str, int]] = Counter()
        async for result, error in self._client.stream_infer(send(requests)):
            if error is not None:
                raise error
            found[result.get_response().id, result.as_numpy("output").item()] += 1
        if found != Counter((str(value), 3 * value + 1) for value in values):
            raise Wrong(f"{values} gave {found}")

    async def streamed(self) -> None:
        """A stream to its end."""
        value, count = next(self._values), self._random.randint(0, 12)
        found, said = await self._stream([value, count, models.GOOD])
        if found != [value + place for place in range(count)] or said:
            raise Wrong(f"{count} from {value} gave {found} {said}")

    async def stream_failing(self) -> None:
        """A stream that fails at its end."""
        value, count = next(self._values), self._random.randint(1, 6)
        found, said = await self._stream([value, count, models.RAISES])
        if found != [value + place for place in range(count - 1)] or f"raised for {value}." not in said:
            raise Wrong(f"{count} from {value}, the last failing, gave {found} {said}")

    async def stream_cancelled(self) -> None:
        """A stream that the client leaves after its first response."""
        value = next(self._values)
        stream = self._client.stream_infer(send([request("stream", [value, 50, models.SLOW])]))
        async for result, _ in stream:
            expect(result.as_numpy("output"), [value])
            break
        stream.cancel()

    async def sequence(self) -> None:
        """A sequence of its own id."""
        values = [next(self._values) for _ in range(self._random.randint(1, 6))]
        total = 0
        for place, value in enumerate(values):
            total += value
            found = await self._infer(
                "Sums",
                [[value]],
                sequence_id=values[0],
                sequence_start=place == 0,
                sequence_end=place == len(values) - 1,
            )
            expect(found, [total])

    async def _infer(self, name: str, rows: Any, **options: Any) -> Array:
        result = await self._client.infer(**request(name, rows), **options)
        output: Array = result.as_numpy("output")
        return output

    async def _fails(self, name: str, rows: Any, said: str) -> None:
        try:
            found = await self._infer(name, rows)
        except InferenceServerException as error:
            if said not in str(error):
                raise
        else:
            raise Wrong(f"{rows} gave {found.tolist()}; wanted the error {said!r}")

    async def _stream(self, row: list[int]) -> tuple[list[int], str]:
        """Give all that a stream sends, and its error."""
        found, said = [], ""
        sent = request("stream", row, enable_empty_final_response=True)
        async for result, error in self._client.stream_infer(send([sent])):
            if error is not None:
                said += str(error)
            elif result.as_numpy("output") is not None:
                found.append(result.as_numpy("output").item())
        return found, said


def request(name: str, rows: Any, **options: Any) -> dict[str, Any]:
    """Make a request of one input."""
    array = np.array(rows, np.int64)
    tensor = triton.InferInput("x", array.shape, "INT64")
    tensor.set_data_from_numpy(array)
    return {"model_name": name, "inputs": [tensor], **options}


async def send(requests: list[dict[str, Any]]) -> AsyncIterator[dict[str, Any]]:
    """Send them all, and no more."""
    for each in requests:
        yield each


def expect(found: Array, wanted: list[int]) -> None:
    """Hold an answer against the call's own."""
    if found.ravel().tolist() != wanted:
        raise Wrong(f"got {found.ravel().tolist()}; wanted {wanted}")
