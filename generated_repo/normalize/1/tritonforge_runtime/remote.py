"""Calls from a pipeline's body to models that Triton serves (business logic scripting)."""

from __future__ import annotations

import asyncio
import operator
from collections import namedtuple
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cache
from typing import Any

from numpy.lib.mixins import NDArrayOperatorsMixin

from .asynchronous import is_async
from .batch import Array
from .merge import Merger
from .spec import ModelSpec

__all__ = ["Pending", "caller", "merge_up_to", "resolve", "resolving"]

_MOST_CALLS = 64
"""How many calls of one instance are under way at once; further ones wait for their turn."""


_most_rows = [0]  # of a request that calls share


class Pending(NDArrayOperatorsMixin):
    """An output of a call that is under way. Whatever is done with it but handing it on waits for the array."""

    def __init__(self, call: Future[Mapping[str, Array]], output: str) -> None:
        self._call = call
        self._output = output

    async def wait(self) -> None:
        """Wait until the call is over, and let other coroutines run meanwhile."""
        await asyncio.wait([asyncio.wrap_future(self._call)])

    def result(self) -> Array:
        """Wait for the array.

        Raises:
            TritonError: the model failed; the message names it.
        """
        return self._call.result()[self._output]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        array = self.result() if dtype is None else self.result().astype(dtype)
        return array.copy() if copy else array

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
        return getattr(ufunc, method)(*map(_value, inputs), **{name: _value(v) for name, v in kwargs.items()})

    def __array_function__(self, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
        return function(*_values(args), **{name: _value(value) for name, value in kwargs.items()})

    def __getattr__(self, name: str) -> Any:
        return getattr(self.result(), name)

    def __getitem__(self, key: Any) -> Any:
        return self.result()[_value(key)]

    def __len__(self) -> int:
        return len(self.result())

    def __iter__(self) -> Any:
        return iter(self.result())

    def __contains__(self, item: Any) -> bool:
        return item in self.result()

    def __bool__(self) -> bool:
        return bool(self.result())

    def __int__(self) -> int:
        return int(self.result())

    def __float__(self) -> float:
        return float(self.result())

    def __index__(self) -> int:
        return operator.index(self.result())

    def __repr__(self) -> str:
        return repr(self.result())


def caller(spec: ModelSpec, *, awaited: bool = False) -> Callable[..., Any]:
    """Make a function that calls a served model: it gives `Pending` outputs at once; `awaited`, it is a coroutine's.

    A call waits for the calls that its arguments come from, and for nothing else.
    """
    from .wire import Exchange

    exchange: Callable[..., Any] = Exchange(spec)
    if spec.batched and _most_rows[0] > 1:
        exchange = Merger(exchange, _most_rows[0])
    names = [tensor.name for tensor in spec.inputs]
    outputs = [tensor.name for tensor in spec.outputs]
    record = namedtuple("Outputs", outputs, rename=True)  # type: ignore[misc]  # the names are known only now

    def call(*args: object, **kwargs: object) -> Any:
        inputs = dict(zip(names, args, strict=False)) | kwargs
        under_way = _executor().submit(_perform, exchange, spec, inputs)
        results = [Pending(under_way, name) for name in outputs]
        return results[0] if len(results) == 1 else record(*results)

    async def call_and_wait(*args: object, **kwargs: object) -> Any:
        return await _resolve_later(call(*args, **kwargs))

    return call_and_wait if awaited else call


def merge_up_to(rows: int) -> None:
    """Let calls that are made at the same time share a request, of so many rows; said before any `caller` is made."""
    _most_rows[:] = [rows]


def resolving(body: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap a body so that what it returns is waited for."""

    async def later(**inputs: Any) -> Any:
        return await _resolve_later(await body(**inputs))

    return later if is_async(body) else lambda **inputs: resolve(body(**inputs))


async def _resolve_later(result: Any) -> Any:
    values = result.values() if isinstance(result, Mapping) else result if isinstance(result, tuple) else (result,)
    for value in values:
        if isinstance(value, Pending):
            await value.wait()
    return resolve(result)


def resolve(result: Any) -> Any:
    """Wait for what a body returns: an array, a tuple or NamedTuple of them, or a mapping."""
    if isinstance(result, Mapping):
        return {name: _value(value) for name, value in result.items()}
    if isinstance(result, tuple):
        values = [_value(value) for value in result]
        return type(result)(*values) if hasattr(result, "_fields") else tuple(values)
    return _value(result)


def _perform(exchange: Callable[..., Any], spec: ModelSpec, inputs: Mapping[str, object]) -> Mapping[str, Array]:
    """Send one request and wait for its response.

    Raises:
        TritonError: the model failed; the message names it.
    """
    given = {name: array for name, value in inputs.items() if (array := _value(value)) is not None}
    missing = [tensor.name for tensor in spec.inputs if not tensor.optional and tensor.name not in given]
    if missing or given.keys() - {tensor.name for tensor in spec.inputs}:
        raise TypeError(f"{spec.name} takes {', '.join(tensor.name for tensor in spec.inputs)}; got {', '.join(given)}")
    outputs: Mapping[str, Array] = exchange(given)
    return outputs


@cache
def _executor() -> ThreadPoolExecutor:
    """Give the threads of this instance. A call only waits for earlier ones, so that they can't block each other."""
    return ThreadPoolExecutor(_MOST_CALLS, thread_name_prefix="call")


def _values(nested: Any) -> Any:
    """Wait for all that is in an argument list, tuples and lists in it too."""
    if isinstance(nested, tuple | list):
        return type(nested)(map(_values, nested))
    return _value(nested)


def _value(value: Any) -> Any:
    return value.result() if isinstance(value, Pending) else value
