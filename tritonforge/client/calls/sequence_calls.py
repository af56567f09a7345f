"""`client.sequence(…)` of both clients."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import TracebackType
from typing import Any, Generic, TypeVar

from tritonforge.client.call import Definition, give_back, read_arguments, require_definition
from tritonforge.client.calls.methods import Calls
from tritonforge.client.calls.sequences import Said, SequenceCore
from tritonforge.client.calls.turns import Turns
from tritonforge.client.concurrency.blocking import finish
from tritonforge.client.cuda.arrays import CudaArray
from tritonforge.client.deadline import Deadline
from tritonforge.client.errors import InvalidRequest, Target
from tritonforge.client.message import Parameter
from tritonforge.client.result import Result
from tritonforge.client.tensors.arguments import checked_parameters, kind_of, list_outputs
from tritonforge.client.tensors.payload import merge_inputs

__all__ = ["AsyncDefinedSequence", "AsyncModelSequence", "DefinedSequence", "ModelSequence", "begin_sequence"]

R = TypeVar("R")


def begin_sequence(
    calls: Calls,
    model: str | Definition[Any],
    turns: Turns,
    *,
    version: str | int,
    sequence_id: int | str | None,
    closing: Mapping[str, Any] | None,
    replay: bool,
    timeout_s: float | None,
) -> SequenceCore:
    """Prepare a sequence; nothing is sent yet.

    Raise ValueError for an id that is none, TypeError for what is neither a name nor a definition, and where one of
    the settings is of another kind.
    """
    if closing is not None and not isinstance(closing, Mapping):
        raise TypeError(f'closing is {kind_of(closing)}; it takes a mapping of names to arrays: closing={{"x": array}}')
    if not isinstance(model, str):
        require_definition(model, "sequence", "sequence")
    name = model if isinstance(model, str) else model.name

    async def require_closing(asking: Calls, last: Said, deadline: Deadline) -> None:
        try:
            await asking.prepare(target, last.inputs, (), last.parameters, deadline)
        except InvalidRequest as error:
            raise _of_closing(error) from error

    async def send(
        inputs: Mapping[str, Any], parameters: Mapping[str, Parameter], options: Mapping[str, Any]
    ) -> Result:
        if replay:
            _refuse_replay(inputs)
        limits = {"timeout_s": timeout_s, "outputs": None, "request_id": "", "headers": None, **options}
        asking = calls.with_headers(limits.pop("headers"))
        if last is not None and "sequence_start" in parameters:
            deadline = calls.deadline(limits["timeout_s"])
            await require_closing(asking, last, deadline)
            limits["timeout_s"] = deadline.left_s()
        return await asking.infer(name, inputs, {}, version=version, parameters=parameters, **limits)

    target = calls.target(name, version)
    last = None if closing is None else _last(model, closing, target)
    return SequenceCore(
        send,
        target,
        turns=turns,
        clock=lambda limit: calls.deadline(timeout_s if limit is None else limit),
        sequence_id=sequence_id,
        closing=last,
        replay=replay,
    )


def _last(model: str | Definition[Any], closing: Mapping[str, Any], target: Target) -> Said:
    """Read what closes a sequence: a model's inputs, or a definition's arguments, its request parameters among them."""
    if isinstance(model, str):
        return Said(closing, {}, {})
    try:
        inputs, parameters = read_arguments(model, (), closing, target)
    except InvalidRequest as error:
        raise _of_closing(error) from error
    return Said(inputs, parameters or {}, {})


def _of_closing(error: InvalidRequest) -> InvalidRequest:
    return InvalidRequest(f"closing: {error.reason}", error.target)


def _refuse_replay(inputs: Mapping[str, Any]) -> None:
    """Raise TypeError for what can't be sent again as it was: memory that a caller writes to again and again."""
    name = next((name for name, value in inputs.items() if isinstance(value, CudaArray)), "")
    if name:
        raise TypeError(f'input "{name}" is a CudaArray, which replay=True can\'t keep: numpy() gives a copy')


class ModelSequence:
    """Requests that one instance of a model serves in the order of asking, several threads' too."""

    def __init__(self, core: SequenceCore) -> None:
        self._core = core

    @property
    def id(self) -> int | str:
        """The sequence's correlation id; a replay takes another."""
        return self._core.id

    def infer(
        self,
        inputs: Mapping[str, Any] | None = None,
        *,
        end: bool = False,
        timeout_s: float | None = None,
        outputs: Iterable[str] | None = None,
        request_id: str = "",
        parameters: Mapping[str, Parameter] | None = None,
        headers: Mapping[str, str] | None = None,
        **named: Any,
    ) -> Result:
        """Send the next request, as `Client.infer` does; the first one starts the sequence, `end` ends it."""
        options = _options(timeout_s, outputs, request_id, headers)
        merged = merge_inputs(inputs, named, self._core.target)
        given = checked_parameters(parameters)
        return finish(self._core.infer(merged, end=end, parameters=given or {}, options=options))

    def __enter__(self) -> ModelSequence:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        finish(self._core.close(failed=kind is not None))


class DefinedSequence(Generic[R]):
    """A ModelSequence of a definition: it takes its arguments, but the state, and gives what it returns."""

    def __init__(self, core: SequenceCore, definition: Definition[R]) -> None:
        self._core = core
        self._definition = definition

    @property
    def id(self) -> int | str:
        """The sequence's correlation id; a replay takes another."""
        return self._core.id

    def infer(
        self,
        *args: Any,
        end: bool = False,
        timeout_s: float | None = None,
        request_id: str = "",
        headers: Mapping[str, str] | None = None,
        **inputs: Any,
    ) -> R:
        """Send the next request, as `Client.call` does; the first one starts the sequence, `end` ends it."""
        sent, parameters = read_arguments(self._definition, args, inputs, self._core.target)
        options = _options(timeout_s, None, request_id, headers)
        result = finish(self._core.infer(sent, end=end, parameters=parameters or {}, options=options))
        return give_back(self._definition, result, self._core.target)

    def __enter__(self) -> DefinedSequence[R]:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        finish(self._core.close(failed=kind is not None))


class AsyncModelSequence:
    """Requests that one instance of a model serves in the order of asking, several tasks' too."""

    def __init__(self, core: SequenceCore) -> None:
        self._core = core

    @property
    def id(self) -> int | str:
        """The sequence's correlation id; a replay takes another."""
        return self._core.id

    async def infer(
        self,
        inputs: Mapping[str, Any] | None = None,
        *,
        end: bool = False,
        timeout_s: float | None = None,
        outputs: Iterable[str] | None = None,
        request_id: str = "",
        parameters: Mapping[str, Parameter] | None = None,
        headers: Mapping[str, str] | None = None,
        **named: Any,
    ) -> Result:
        """Send the next request, as `AsyncClient.infer` does; the first one starts the sequence, `end` ends it."""
        options = _options(timeout_s, outputs, request_id, headers)
        merged = merge_inputs(inputs, named, self._core.target)
        given = checked_parameters(parameters)
        return await self._core.infer(merged, end=end, parameters=given or {}, options=options)

    async def __aenter__(self) -> AsyncModelSequence:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._core.close(failed=kind is not None)


class AsyncDefinedSequence(Generic[R]):
    """An AsyncModelSequence of a definition: it takes its arguments, but the state, and gives what it returns."""

    def __init__(self, core: SequenceCore, definition: Definition[R]) -> None:
        self._core = core
        self._definition = definition

    @property
    def id(self) -> int | str:
        """The sequence's correlation id; a replay takes another."""
        return self._core.id

    async def infer(
        self,
        *args: Any,
        end: bool = False,
        timeout_s: float | None = None,
        request_id: str = "",
        headers: Mapping[str, str] | None = None,
        **inputs: Any,
    ) -> R:
        """Send the next request, as `AsyncClient.call` does; the first one starts the sequence, `end` ends it."""
        sent, parameters = read_arguments(self._definition, args, inputs, self._core.target)
        options = _options(timeout_s, None, request_id, headers)
        result = await self._core.infer(sent, end=end, parameters=parameters or {}, options=options)
        return give_back(self._definition, result, self._core.target)

    async def __aenter__(self) -> AsyncDefinedSequence[R]:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._core.close(failed=kind is not None)


def _options(
    timeout_s: float | None, outputs: Iterable[str] | None, request_id: str, headers: Mapping[str, str] | None
) -> dict[str, Any]:
    names = None if outputs is None else list_outputs(outputs)  # a replay asks for them again
    options: dict[str, Any] = {"outputs": names, "request_id": request_id, "headers": headers}
    return options if timeout_s is None else {**options, "timeout_s": timeout_s}
