"""`client.generate(…)` and `client.generate_stream(…)` of both clients: Triton's generate extension."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from typing import Any

from tritonforge.client.calls.methods import Calls
from tritonforge.client.calls.stream_count import StreamCount
from tritonforge.client.deadline import Deadline
from tritonforge.client.errors import ClientError, InferenceFailed, ModelNotFound, Target
from tritonforge.client.http.events import Events, generate_body, mistyped, read_event
from tritonforge.client.questions import Question
from tritonforge.client.tensors.arguments import require_name
from tritonforge.client.tensors.payload import merge_inputs
from tritonforge.client.transport import Json

__all__ = ["generate", "generate_stream"]


async def generate(
    calls: Calls,
    model: str,
    inputs: Mapping[str, Any] | None,
    named: dict[str, Any],
    *,
    version: str | int,
    timeout_s: float | None,
    request_id: str,
) -> Json:
    """Infer over the generate extension: JSON in, JSON out."""
    question, target = _question("generate", calls, model, inputs, named, version, request_id)
    data = b""
    async with aclosing(_events(calls, question, target, calls.deadline(timeout_s))) as pieces:
        async for piece in pieces:
            data += piece
    return read_event(data, target)


def generate_stream(
    calls: Calls,
    model: str,
    inputs: Mapping[str, Any] | None,
    named: dict[str, Any],
    *,
    version: str | int,
    timeout_s: float | None,
    request_id: str,
) -> AsyncGenerator[Json, None]:
    """Infer over the generate extension, and give each response as it comes."""
    question, target = _question("generate_stream", calls, model, inputs, named, version, request_id)
    return _answers(calls, question, target, timeout_s)


async def _answers(
    calls: Calls, question: Question, target: Target, timeout_s: float | None
) -> AsyncGenerator[Json, None]:
    events, deadline = Events(), calls.deadline(timeout_s)
    with StreamCount(deadline) as count:
        async with aclosing(_events(calls, question, target, deadline)) as pieces:
            async for piece in pieces:
                for event in events.feed(piece):
                    yield read_event(event, target)
                    count.given += 1
    events.end(target)


def _question(
    subject: str,
    calls: Calls,
    model: str,
    inputs: Mapping[str, Any] | None,
    named: dict[str, Any],
    version: str | int,
    request_id: str,
) -> tuple[Question, Target]:
    """Put what is asked into JSON. Raise InvalidRequest, TypeError or ValueError where it can't be."""
    target = calls.target(model, version, request_id)
    require_name(model)
    return Question(subject, model, target.version, generate_body(merge_inputs(inputs, named, target), target)), target


async def _events(calls: Calls, question: Question, target: Target, deadline: Deadline) -> AsyncGenerator[bytes, None]:
    """Ask what is answered piece by piece. Raise what `generate` can fail with."""
    try:
        async with aclosing(calls.transport.events(question, deadline)) as pieces:
            async for piece in pieces:
                yield piece
    except ClientError as error:
        error.tell_of(target)
        told: ClientError | None = None
        if isinstance(error, ModelNotFound):
            told = await calls.catalog.told_apart(error, target, deadline)
        elif isinstance(error, InferenceFailed):
            told = mistyped(error, target)
        if told is None:
            raise
        raise told from error
