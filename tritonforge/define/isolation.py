"""A pipeline that runs here sees of its steps what it sees of them in Triton: they get arrays of their own, and what
they raise reaches a bls body as a TritonError.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Coroutine, Mapping
from contextvars import ContextVar
from typing import Any, Literal, TypeVar

import numpy as np

from tritonforge.define.served_errors import TritonError
from tritonforge.errors import DiagnosticError, InvalidTensor

__all__ = ["copied", "in_body", "own", "run_body", "run_function", "run_step"]

Given = TypeVar("Given")

_Caller = Literal["", "pipeline", "bls"]

_caller: ContextVar[_Caller] = ContextVar("caller", default="")


def in_body() -> bool:
    """Say whether a pipeline's body runs, and makes the call that is being made."""
    return bool(_caller.get())


def run_body(body: Callable[..., Any], inputs: Mapping[str, Any], *, bls: bool) -> Any:
    """Run a pipeline's body: the functions that it calls are steps."""
    return _run(lambda: body(**inputs), "bls" if bls else "pipeline")


def run_function(function: Callable[..., Any], /, *args: Any, **inputs: Any) -> Any:
    """Run a model's function: what it calls in turn is called as any Python function, not as a step."""
    return _run(lambda: function(*args, **inputs), "")


def run_step(call: Callable[[], Any]) -> Any:
    """Make a call of a definition; give a bls body the errors that it gets where Triton serves it.

    Raises:
        TritonError: of a bls body's call, whatever else the call raised; chained from that.
    """
    if _caller.get() != "bls":
        return call()
    try:
        result = call()
    except (Exception, SystemExit) as error:
        raise _as_served(error) from error
    return _awaited(result) if inspect.iscoroutine(result) else result


async def _awaited(coroutine: Coroutine[Any, Any, Any]) -> Any:
    try:
        return await coroutine
    except (Exception, SystemExit) as error:
        raise _as_served(error) from error


def _as_served(error: Exception | SystemExit) -> Exception:
    """Make the error that reaches a body from a model that Triton serves."""
    if isinstance(error, TritonError):  # of the user's own classes only the text and the code come
        return TritonError(error.message, error.code)
    if isinstance(error, DiagnosticError):
        return error
    text = str(error) if isinstance(error, InvalidTensor) else f"{type(error).__name__}: {error}"
    return TritonError(text)


def own(arrays: Mapping[str, Given]) -> Mapping[str, Given]:
    """Give copies of what a step takes or gives: it may write into its inputs, and fill its outputs again.

    Outside of a pipeline they are the caller's and the function's own. Arrays of strings are new in any case, since the
    check made them.
    """
    return copied(arrays) if _caller.get() else arrays


def copied(arrays: Mapping[str, Given]) -> Mapping[str, Given]:
    """Give copies, as of what a stream yields: it may fill its arrays again while the caller has them, as served."""
    return {name: _own(array) for name, array in arrays.items()}


def _own(given: Any) -> Any:
    return given.copy() if isinstance(given, np.ndarray) and not given.dtype.hasobject else given


def _run(call: Callable[[], Any], caller: _Caller) -> Any:
    token = _caller.set(caller)
    try:
        result = call()
    finally:
        _caller.reset(token)
    return _later(result, caller) if inspect.iscoroutine(result) else result


async def _later(coroutine: Coroutine[Any, Any, Any], caller: _Caller) -> Any:
    token = _caller.set(caller)
    try:
        return await coroutine
    finally:
        _caller.reset(token)
