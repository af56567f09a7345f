"""Value semantics of a pipeline that runs here: its steps get arrays of their own, as they do from Triton."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Coroutine, Mapping
from contextvars import ContextVar
from typing import Any

from tritonforge.define.arrays import Array

__all__ = ["own", "run_body", "run_function"]

_in_pipeline: ContextVar[bool] = ContextVar("in_pipeline", default=False)


def run_body(body: Callable[..., Any], inputs: Mapping[str, Array | None]) -> Any:
    """Run a pipeline's body: the functions that it calls are steps."""
    return _run(lambda: body(**inputs), steps=True)


def run_function(function: Callable[..., Any], /, *args: Any, **inputs: Any) -> Any:
    """Run a model's function: what it calls in turn is called as any Python function, not as a step."""
    return _run(lambda: function(*args, **inputs), steps=False)


def own(inputs: Mapping[str, Array | None]) -> Mapping[str, Array | None]:
    """Give a step copies of its inputs, so that it may write into them; outside of a pipeline the caller's own arrays.

    Arrays of strings are new in any case, since the check of inputs made them.
    """
    if not _in_pipeline.get():
        return inputs
    return {name: array if array is None or array.dtype.hasobject else array.copy() for name, array in inputs.items()}


def _run(call: Callable[[], Any], *, steps: bool) -> Any:
    token = _in_pipeline.set(steps)
    try:
        result = call()
    finally:
        _in_pipeline.reset(token)
    return _later(result, steps=steps) if inspect.iscoroutine(result) else result


async def _later(coroutine: Coroutine[Any, Any, Any], *, steps: bool) -> Any:
    token = _in_pipeline.set(steps)
    try:
        return await coroutine
    finally:
        _in_pipeline.reset(token)
