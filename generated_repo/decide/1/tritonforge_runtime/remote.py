"""Calls from a pipeline's body to models that Triton serves (business logic scripting)."""

from __future__ import annotations

import asyncio
import sys
from collections import namedtuple
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dis import get_instructions
from functools import cache
from inspect import CO_COROUTINE, unwrap
from operator import itemgetter
from types import CodeType, FrameType
from typing import Any

from .asynchronous import is_async
from .batch import Array
from .calls import Call, Outputs, Run, executor, running
from .merge import Exchange, Merger
from .pending import Pending, resolve, value_of
from .spec import ModelSpec

__all__ = ["Body", "Served", "awaiting", "caller", "calling", "merge_up_to", "resolving"]

_MOST_BODIES = 256

_most_rows = [0]  # of a request that calls share


class Served:
    """A model that Triton serves, to send calls to: up to `most_rows` stacked rows of them together, if at all."""

    def __init__(self, spec: ModelSpec, exchange: Exchange, most_rows: int) -> None:
        self.exchange = exchange
        self.most_rows = most_rows if spec.batched else 0
        self._name = spec.name
        self._names = [tensor.name for tensor in spec.inputs]
        self._known = frozenset(self._names)
        self._required = frozenset(tensor.name for tensor in spec.inputs if not tensor.optional)
        self._merger = Merger(exchange, self.most_rows) if self.most_rows > 1 else None

    def __call__(self, arrays: Mapping[str, Array]) -> Outputs:
        """Send one call, with those that other threads make at the same time; give the outputs by name."""
        return (self._merger or self.exchange)(arrays)

    def bind(self, args: tuple[object, ...], kwargs: Mapping[str, object]) -> dict[str, Any]:
        """Give a call's arguments by the names of the inputs.

        Raises:
            TypeError: one is missing, or there are others.
        """
        named = (*zip(self._names, args, strict=False), *kwargs.items())
        given = {name: value for name, value in named if value is not None}
        if len(args) > len(self._names) or not self._required <= given.keys() or not given.keys() <= self._known:
            found = f"{len(args)} arguments" if args else ", ".join(given) or "nothing"
            raise TypeError(f"{self._name} takes {', '.join(self._names)}; got {found}")
        return given


def caller(spec: ModelSpec, *, awaited: bool = False) -> Callable[..., Any]:
    """Make a function that calls a served model; `awaited`, it is a coroutine's."""
    from .wire import Exchange as Wired

    served = Served(spec, Wired(spec), _most_rows[0])
    return (awaiting if awaited else calling)(served, [tensor.name for tensor in spec.outputs])


def calling(served: Served, outputs: Sequence[str]) -> Callable[..., Any]:
    """Make a function that calls a model and gives `Pending` outputs at once.

    A call waits for the calls that its arguments come from, and for nothing else. In code that catches errors it is
    over when the function returns, for its errors must be raised there.
    """
    pack = _packing(outputs)

    def call(*args: object, **kwargs: object) -> Any:
        run = running.run or Run()
        inputs = served.bind(args, kwargs)
        made = Call(served, inputs, run, _earlier(inputs, run))
        run.add(made)
        if running.run is None or _caught():  # without a run, it is in a thread of the body's own
            made.result()
        return pack([Pending(made, name) for name in outputs])

    return call


def awaiting(served: Served, outputs: Sequence[str]) -> Callable[..., Any]:
    """Make a coroutine function that calls a model and gives arrays."""
    pack = _packing(outputs)

    async def call(*args: object, **kwargs: object) -> Any:
        inputs = served.bind(args, kwargs)

        def send() -> Outputs:
            return served({name: value_of(value) for name, value in inputs.items()})

        found = await asyncio.get_running_loop().run_in_executor(executor(), send)
        return pack([found[name] for name in outputs])

    return call


def _packing(outputs: Sequence[str]) -> Callable[[list[Any]], Any]:
    """Make what puts results into the form in which a model hands them over."""
    if len(outputs) == 1:
        return itemgetter(0)
    record: Any = namedtuple("Outputs", outputs, rename=True)  # type: ignore[misc]  # the names are known only now
    return lambda values: record(*values)


def merge_up_to(rows: int) -> None:
    """Let calls that are made at the same time share a request, of so many rows; said before any `caller` is made."""
    _most_rows[:] = [rows]


class Body:
    """A body that calls served models. Called, it runs by itself, and its calls are over when it returns."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function = function
        self.__code__ = getattr(unwrap(function), "__code__", None)

    def __call__(self, **inputs: Any) -> Any:
        run = running.run = Run()
        try:
            result = resolve(self.function(**inputs))
        finally:
            running.run = None
        run.finish()
        return result


def resolving(body: Callable[..., Any], *, blocks: bool = False) -> Callable[..., Any]:
    """Wrap a body so that what it returns is waited for.

    An `async` one that `blocks`, as it calls models that aren't awaited, runs in a thread and an event loop of its own.
    """
    if not is_async(body):
        return Body(body)
    if not blocks:
        return body
    alone = Body(lambda **inputs: asyncio.run(body(**inputs)))

    async def elsewhere(**inputs: Any) -> Any:
        return await asyncio.get_running_loop().run_in_executor(_bodies(), lambda: alone(**inputs))

    return elsewhere


@cache
def _bodies() -> ThreadPoolExecutor:
    """Give the threads that async bodies run in."""
    return ThreadPoolExecutor(_MOST_BODIES, thread_name_prefix="body")


def _earlier(inputs: dict[str, Any], run: object) -> list[Call]:
    """Give the calls of a run that inputs come from; those of other runs, which this one can't send, are waited for."""
    found = []
    for name, value in inputs.items():
        if type(value) is Pending:
            call = value.call
            if isinstance(call, Call) and call.run is run:
                found.append(call)
            else:
                inputs[name] = value.result()
    return found


def _caught() -> bool:
    """Say whether the body is in a function with a `try` or a `with`: an error of a call must be raised by the call."""
    frame: FrameType | None = sys._getframe(2)
    while frame is not None and _is_own(frame):
        frame = frame.f_back  # the part that stands for the model
    while frame is not None and not _is_own(frame):
        if _catches(frame.f_code):
            return True
        if frame.f_code.co_flags & CO_COROUTINE:
            break  # what is below is the event loop
        frame = frame.f_back
    return False


def _is_own(frame: FrameType) -> bool:
    return frame.f_globals.get("__package__") == __package__


@cache
def _catches(code: CodeType) -> bool:
    # CPython 3.10 has the SETUP_ instructions, later ones the other, and both have neither for `await`.
    return any(step.opname == "PUSH_EXC_INFO" or step.opname.startswith("SETUP_") for step in get_instructions(code))
