"""A running server's model control: load and unload, with Triton's reason where it refuses."""

from __future__ import annotations

import http.client
import re
from collections.abc import Callable
from pathlib import Path

from tritonforge.errors import Diagnostic, Where
from tritonforge.server.asking.grpc_load import load_over_grpc
from tritonforge.server.asking.health import KEY_HINT, Health, ModelState, quoted, said
from tritonforge.server.diagnosis.failures import explain_failures
from tritonforge.server.diagnosis.log import read_failures
from tritonforge.server.diagnosis.sources import Sources, read_sources
from tritonforge.server.errors import ModelLoadError, ServerError, Uncontrolled

__all__ = ["load_model", "unload_model"]

_VERSION = re.compile(r"(?:^|;)version (\d+) is at UNAVAILABLE state: ")
"""What Triton (24.10) puts before each version's reason, one after another."""

_LOAD_TIMEOUT_S = 600.0
"""A large model's load takes minutes; a server that is gone says so at once."""

_HINT = (
    "leave out model_control=poll, or none, for up: its own is explicit; from Python give model_control='explicit', "
    "as the default of Server.embedded is none"
)


def load_model(
    health: Health, model: str, *, sources: Sources | None = None, read_log: Callable[[], str] = str
) -> None:
    """Load a model, or load again what has changed of it, and wait until it serves.

    `read_log` gives what the server wrote meanwhile, which tells more of a configuration that it can't read.

    Raises:
        ModelLoadError: it failed to load, with the reason; a version that served goes on serving (seen in 24.10).
        Uncontrolled: its model control is not explicit, or wants a key.
        ServerError: the server doesn't answer.
    """
    status, words = load_over_grpc(health, model, _LOAD_TIMEOUT_S) or _load_over_http(health, model)
    if status == http.client.OK:
        return
    _refuse_uncontrolled(words, status)
    raise ModelLoadError(_explain(model, words, sources or read_sources(Path()), read_log()))


def _load_over_http(health: Health, model: str) -> tuple[int, str]:
    path = f"/v2/repository/models/{quoted(model)}/load"
    status, body = health.request("POST", path, b"{}", timeout_s=_LOAD_TIMEOUT_S)
    return status, said(body)


def unload_model(health: Health, model: str) -> None:
    """Unload a model; requests under way finish.

    Raises:
        Uncontrolled: its model control is not explicit, or wants a key.
        ServerError: the server doesn't answer, or doesn't serve it.
    """
    # The index leaves out models whose files came with the request to load them (24.10).
    if health.request("GET", f"/v2/models/{quoted(model)}/ready")[0] != http.client.OK:
        raise ServerError(f"the server serves no model {model}; `tritonforge status` lists those that it serves")
    status, body = health.request("POST", f"/v2/repository/models/{quoted(model)}/unload", b"{}")
    if status != http.client.OK:
        _refuse_uncontrolled(said(body), status)
        raise ServerError(f"the server can't unload {model}: {said(body)}")


def _explain(model: str, words: str, sources: Sources, log: str) -> list[Diagnostic]:
    """Explain a load that failed, at the user's own file; the log has the line of an unreadable config.pbtxt."""
    reason = words.removeprefix(f"load failed for model '{model}': ")
    _, *told = _VERSION.split(reason)
    if told:
        each = zip(told[::2], told[1::2], strict=True)
        states = [ModelState(model, version, "UNAVAILABLE", words.rstrip("\n;")) for version, words in each]
        return explain_failures(states, "", sources, ready=False)
    if any(failure.model == model for failure in read_failures(log)):
        return explain_failures([ModelState(model)], log, sources, ready=False)
    where = sources.folder(model)
    return [Diagnostic("TF521", Where(file=str(where), subject=model), f"not accepted: {reason}")]


def _refuse_uncontrolled(words: str, status: int) -> None:
    if "explicit model" in words:
        raise Uncontrolled(
            f"this server loads no models on demand: its model control is none, or poll\n  hint: {_HINT}"
        )
    if status in (http.client.UNAUTHORIZED, http.client.FORBIDDEN):
        raise Uncontrolled(f"the server wants a key for its model control: {words}\n  hint: {KEY_HINT}")
