"""Calls from a pipeline's body to models that Triton serves (business logic scripting)."""

from __future__ import annotations

import sys
from collections import namedtuple
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from dis import get_instructions
from functools import cache, lru_cache, partial
from inspect import CO_COROUTINE, unwrap
from operator import itemgetter
from types import CodeType, FrameType
from typing import Any

from .awaitables import is_async
from .batch import Array
from .calls import Call, Outputs, Run, executor, running
from .dimensions import NamedDim
from .merge import Exchange, Merger
from .outputs import Arguments
from .pending import Pending, resolve
from .slices import Slices
from .spec import ModelSpec

__all__ = ["Body", "Merging", "Served", "awaiting", "caller", "calling", "compute_between", "resolving"]

_MOST_BODIES = 256
_MOST_SAYINGS = 64
"""For how many different parameters what sends calls that say them is kept."""

_PIPELINES_INSIDE = f"{__package__}.inner"


@dataclass(frozen=True, slots=True)
class Merging:
    """How calls are made of bodies that compute between them: up to `most_rows` stacked rows of them share a request.

    Such a body may write into what it has called a model with, and into what that gave.
    """

    most_rows: int


_merging: list[Merging | None] = [None]


class Served:
    """A model that Triton serves, to send calls to; it takes `most_rows` rows at a time, or any number (0).

    `merging` is how calls share requests; None: not at all. `dims` are its named dimensions. `saying` makes the
    exchange of calls that say request parameters, as JSON.
    """

    def __init__(
        self,
        spec: ModelSpec,
        exchange: Exchange,
        *,
        most_rows: int = 0,
        merging: Merging | None = None,
        dims: Sequence[NamedDim] = (),
        saying: Callable[[str], Exchange] | None = None,
    ) -> None:
        self._slices = Slices(spec, exchange, most_rows, dims) if spec.batched else None
        self.exchange = self._slices or exchange
        shared = merging.most_rows if merging and spec.batched else 0
        self.most_rows = min(shared, most_rows or shared)
        self.copies = merging is not None
        self._arguments = Arguments(spec)
        self._merger = Merger(self.exchange, self.most_rows) if self.most_rows > 1 else None
        self._parameters = spec.request_parameters
        if saying is not None:
            alike = partial(Served, spec, most_rows=most_rows, merging=merging, dims=dims)
            self._saying = lru_cache(_MOST_SAYINGS)(lambda said: alike(saying(said)))

    def __call__(self, arrays: Mapping[str, Array]) -> Outputs:
        """Send one call, with those that other threads make at the same time; give the outputs by name."""
        return (self._merger or self.exchange)(arrays)

    def bind(self, args: tuple[object, ...], kwargs: Mapping[str, object]) -> tuple[Served, dict[str, Any]]:
        """Give a call's arguments by the names of the inputs, and the target of calls that say what this one says.

        Raises:
            InvalidArgument: one is missing, unknown, or not of its input's dtype or shape; what is pending isn't
                looked at.
        """
        given = self._arguments.bind([*map(_landed, args)], {name: _landed(value) for name, value in kwargs.items()})
        said = given.pop(self._parameters) if self._parameters else None
        inputs = {name: value for name, value in given.items() if value is not None}
        if self._slices and not any(type(value) is Pending for value in inputs.values()):
            self._slices.check(inputs)
        return self._saying(said.key) if said else self, inputs

    def check(self, arrays: Mapping[str, Array]) -> None:
        """Hold arrays that were pending against the model's inputs.

        Raises:
            InvalidArgument: one is not of its input's dtype or shape.
        """
        self._arguments.bind((), arrays)
        if self._slices:
            self._slices.check(arrays)


def caller(
    spec: ModelSpec, *, most_rows: int = 0, dims: Sequence[NamedDim] = (), awaited: bool = False
) -> Callable[..., Any]:
    """Make a function that calls a served model; `awaited`, it is a coroutine's. See `Served`."""
    from .wire import Exchange as Wired

    wired = Wired(spec)
    served = Served(spec, wired, most_rows=most_rows, merging=_merging[0], dims=dims, saying=wired.saying)
    return (awaiting if awaited else calling)(served, [tensor.name for tensor in spec.outputs])


def calling(served: Served, outputs: Sequence[str]) -> Callable[..., Any]:
    """Make a function that calls a model and gives `Pending` outputs at once.

    A call waits for the calls that its arguments come from, and for nothing else. In code that catches errors it is
    over when the function returns, for its errors must be raised there.
    """
    pack = _packing(outputs)

    def call(*args: object, **kwargs: object) -> Any:
        run = running.run or Run()
        target, inputs = served.bind(args, kwargs)
        after = _earlier(inputs, run)
        over = running.run is None or _caught()  # without a run, it is in a thread of the body's own
        if served.copies and not over:
            _keep(inputs)
        made = Call(target, inputs, run, after)
        run.add(made)
        if over:
            made.result()
        return pack([Pending(made, name) for name in outputs])

    return call


def awaiting(served: Served, outputs: Sequence[str]) -> Callable[..., Any]:
    """Make a coroutine function that calls a model and gives arrays."""
    pack = _packing(outputs)

    def send(target: Served, inputs: Mapping[str, Any]) -> Outputs:
        pending = [name for name, value in inputs.items() if type(value) is Pending]
        if pending:
            inputs = {**inputs, **{name: inputs[name].sent() for name in pending}}
            target.check(inputs)
        return target(inputs)

    async def call(*args: object, **kwargs: object) -> Any:
        import asyncio  # only here: see `awaitables`

        target, inputs = served.bind(args, kwargs)
        if served.copies:
            _keep(inputs)
        found = await asyncio.get_running_loop().run_in_executor(executor(), send, target, inputs)
        return pack([found[name] for name in outputs])

    return call


def _packing(outputs: Sequence[str]) -> Callable[[list[Any]], Any]:
    """Make what puts results into the form in which a model hands them over."""
    if len(outputs) == 1:
        return itemgetter(0)
    record: Any = namedtuple("Outputs", outputs, rename=True)  # type: ignore[misc]  # the names are known only now
    return lambda values: record(*values)


def compute_between(most_rows: int) -> None:
    """Say that bodies compute between calls, which may share requests of so many rows; before any `caller` is made."""
    _merging[:] = [Merging(most_rows)]


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
    import asyncio

    alone = Body(lambda **inputs: asyncio.run(body(**inputs)))

    async def elsewhere(**inputs: Any) -> Any:
        return await asyncio.get_running_loop().run_in_executor(_bodies(), lambda: alone(**inputs))

    return elsewhere


@cache
def _bodies() -> ThreadPoolExecutor:
    """Give the threads that async bodies run in."""
    return ThreadPoolExecutor(_MOST_BODIES, thread_name_prefix="body")


def _landed(value: Any) -> Any:
    """Give the array of an output that the body has looked at by now."""
    return value.array if type(value) is Pending and value.array is not None else value


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


def _keep(inputs: dict[str, Any]) -> None:
    """Keep the inputs of a call as they are now: the body may write into its arrays before it goes out."""
    for name, value in inputs.items():
        if type(value) is Pending:
            value.handed_on = True
        else:
            inputs[name] = value.copy()


def _caught() -> bool:
    """Say whether the body is in a function with a `try` or a `with`: an error of a call must be raised by the call."""
    frame: FrameType | None = sys._getframe(2)
    while frame is not None and _is_own(frame):
        frame = frame.f_back  # the part that stands for the model
    while frame is not None and (not _is_own(frame) or frame.f_globals["__name__"] == _PIPELINES_INSIDE):
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
