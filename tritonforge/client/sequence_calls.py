"""`client.sequence(…)` of both clients."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any

from tritonforge.client.blocking import finish
from tritonforge.client.calls import Calls
from tritonforge.client.message import Parameter
from tritonforge.client.payload import merge_inputs
from tritonforge.client.result import Result
from tritonforge.client.sequences import SequenceCore

__all__ = ["AsyncModelSequence", "ModelSequence", "begin_sequence"]


def begin_sequence(
    calls: Calls,
    model: str,
    *,
    version: str | int,
    sequence_id: int | str | None,
    closing: Mapping[str, Any] | None,
    replay: bool,
    timeout_s: float | None,
) -> SequenceCore:
    """Prepare a sequence; nothing is sent yet. Raise ValueError for an id that is none."""

    async def send(
        inputs: Mapping[str, Any], parameters: Mapping[str, Parameter], options: Mapping[str, Any]
    ) -> Result:
        limits = {"timeout_s": timeout_s, "outputs": (), "request_id": "", **options}
        return await calls.infer(model, inputs, {}, version=version, parameters=parameters, **limits)

    return SequenceCore(send, calls.target(model, version), sequence_id=sequence_id, closing=closing, replay=replay)


class ModelSequence:
    """Requests that one instance of a model serves in their order. Not for several threads at once."""

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
        outputs: Sequence[str] = (),
        request_id: str = "",
        parameters: Mapping[str, Parameter] | None = None,
        **named: Any,
    ) -> Result:
        """Send the next request, as `Client.infer` does; the first one starts the sequence, `end` ends it."""
        options = _options(timeout_s, outputs, request_id)
        merged = merge_inputs(inputs, named, self._core.target)
        return finish(self._core.infer(merged, end=end, parameters=parameters or {}, options=options))

    def __enter__(self) -> ModelSequence:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        finish(self._core.close(failed=kind is not None))


class AsyncModelSequence:
    """Requests that one instance of a model serves in their order. Not for several tasks at once."""

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
        outputs: Sequence[str] = (),
        request_id: str = "",
        parameters: Mapping[str, Parameter] | None = None,
        **named: Any,
    ) -> Result:
        """Send the next request, as `AsyncClient.infer` does; the first one starts the sequence, `end` ends it."""
        options = _options(timeout_s, outputs, request_id)
        merged = merge_inputs(inputs, named, self._core.target)
        return await self._core.infer(merged, end=end, parameters=parameters or {}, options=options)

    async def __aenter__(self) -> AsyncModelSequence:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._core.close(failed=kind is not None)


def _options(timeout_s: float | None, outputs: Sequence[str], request_id: str) -> dict[str, Any]:
    options: dict[str, Any] = {"outputs": outputs, "request_id": request_id}
    return options if timeout_s is None else {**options, "timeout_s": timeout_s}
