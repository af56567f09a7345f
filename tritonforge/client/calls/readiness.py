"""`client.is_ready(…)` and `client.wait_ready(…)` of both clients."""

from __future__ import annotations

from collections.abc import Sequence

from tritonforge.client.calls.methods import Calls
from tritonforge.client.deadline import Deadline
from tritonforge.client.errors import (
    DeadlineExceeded,
    InferenceFailed,
    InvalidRequest,
    ModelNotFound,
    ModelNotReady,
    ServerUnavailable,
    Target,
)
from tritonforge.client.failures import OF_CREDENTIALS
from tritonforge.client.questions import Question
from tritonforge.client.tensors.arguments import require_name

__all__ = ["is_ready", "wait_ready"]

_POLL_S = 0.05
_POLLS_A_REASON = 20
_NOT_READY = "it said that it is not ready"
_SILENT = "it answers nothing"


async def is_ready(calls: Calls, model: str, *, version: str | int, timeout_s: float | None) -> bool:
    """Tell whether the server, or a model of it, is ready; False where none can be reached."""
    if model != "":
        require_name(model)
    target = calls.target(model, version)
    try:
        return await _ready(calls, target, calls.deadline(timeout_s))
    except (ServerUnavailable, DeadlineExceeded):
        return False


async def wait_ready(calls: Calls, models: Sequence[str], *, timeout_s: float | None) -> None:
    """Wait until the server, and each of these models, is ready.

    Raise DeadlineExceeded where it isn't in time, which was sent if any of what was asked meanwhile was.
    """
    for model in models:
        require_name(model)
    deadline = calls.deadline(timeout_s)
    waiting = [calls.target(model) for model in ("", *models)]
    last, polls = _SILENT, 0
    sent: bool | None = None  # which the last question, given up at the deadline, tells where it is the only one
    try:
        while waiting:
            try:
                while waiting:
                    ready = await _ready(calls, waiting[0], deadline)
                    sent = True
                    if not ready:
                        break
                    waiting.pop(0)
                    last, polls = _SILENT, 0
                if waiting and polls % _POLLS_A_REASON == 0:
                    last = _NOT_READY
                    last = await _unready(calls, waiting[0], deadline)
                polls += 1
            except ServerUnavailable as error:
                last, sent = error.reason, sent or error.sent
            if waiting:
                await calls.transport.sleep(min(_POLL_S, deadline.left_s()))
    except TimeoutError as error:
        if sent is None:
            sent = isinstance(error, DeadlineExceeded) and error.sent
        raise DeadlineExceeded(f"not ready within {deadline.given}: {last}", waiting[0], sent=sent) from error


async def _ready(calls: Calls, target: Target, deadline: Deadline) -> bool:
    subject = "model_ready" if target.model else "server_ready"
    return bool(await calls.transport.ask(Question(subject, target.model, target.version), deadline))


async def _unready(calls: Calls, target: Target, deadline: Deadline) -> str:
    """Say why the server, or a model of it, that said that it is not ready, may not be."""
    subject = "model_metadata" if target.model else "server_metadata"
    try:
        await calls.transport.ask(Question(subject, target.model), deadline)
    except (ModelNotFound, ModelNotReady) as error:
        return (await calls.catalog.told_apart(error, target, deadline) or error).reason
    except (InvalidRequest, InferenceFailed) as error:  # as where that alone wants a key
        if error.code in OF_CREDENTIALS:
            return error.reason
    return _NOT_READY
