"""The administration of a server: statistics, loading, tracing, logging."""

from __future__ import annotations

import base64
import hashlib
import json
import posixpath
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from tritonforge.client.calls.settings import Setting, log_changes, trace_changes
from tritonforge.client.names import shown
from tritonforge.client.questions import Question
from tritonforge.client.tensors.arguments import kind_of
from tritonforge.client.tensors.payload import version_text
from tritonforge.client.transport import Json

__all__ = ["Admin", "AsyncAdmin"]

Ask = Callable[[Question, float | None], Any]
"""Asks something, with a limit in seconds; None is for the client's own."""

_HOW_IT_RUNS = ("backend", "platform", "ensemble_scheduling")
"""Fields of a whole configuration, one of which each has. Of inputs and outputs some backends tell themselves."""


_MARK = "tritonforge_files"
"""The parameter of a configuration by which Triton sees that files given with it are others than those it has."""


class Admin:
    """`client.admin`: each method takes `timeout_s`, and raises the errors of every call.

    With several URLs, each call goes to one server of them: use a client for each to change all.
    """

    def __init__(self, ask: Ask) -> None:
        self._ask = ask

    def statistics(self, model: str = "", *, version: str | int = "", timeout_s: float | None = None) -> list[Json]:
        """Fetch counts and nanoseconds of a model's versions, or of all models', since they were loaded."""
        answer = self._ask(Question("statistics", model, version_text(version)), timeout_s)
        return list(answer["model_stats"])

    def load(
        self,
        model: str,
        *,
        config: Mapping[str, Any] | None = None,
        files: Mapping[str, bytes] | None = None,
        timeout_s: float | None = None,
    ) -> None:
        """Load a model, or load it anew; the server must run with explicit model control.

        `config` is used instead of its config.pbtxt, all of it, as `client.config` words it: `{**client.config(model),
        "max_batch_size": 2}`. `files`, by their path in the model's folder (`1/model.onnx`), are used instead of the
        folder, and want a `config`, to which their hash is added as the parameter `tritonforge_files`: Triton (24.10)
        looks at that alone, and would take other files for those that it has. Raise ValueError for a config that names
        no backend, for files without one, and for a path out of the folder, ModelNotFound or ModelNotReady where the
        server doesn't load it.
        """
        self._ask(_load(model, config, files or {}), timeout_s)

    def unload(self, model: str, *, dependents: bool = False, timeout_s: float | None = None) -> None:
        """Unload a model, and, with `dependents`, the models of its steps. Triton answers before it is done.

        It answers so, too, where it has no such model: whether a name is misspelled isn't told.
        """
        self._ask(_unload(model, dependents=dependents), timeout_s)

    def trace_settings(
        self, changes: Mapping[str, Setting] | None = None, *, model: str = "", timeout_s: float | None = None
    ) -> Json:
        """Give the settings of tracing, after these changes: `{"trace_level": ["TIMESTAMPS"], "trace_rate": 1}`.

        None for a value clears a model's own setting. Raise ValueError for one that there isn't.
        """
        return dict(self._ask(_trace(model, changes or {}), timeout_s))

    def log_settings(self, changes: Mapping[str, Setting] | None = None, *, timeout_s: float | None = None) -> Json:
        """Give the settings of the server's log, after these changes: `{"log_info": False, "log_verbose_level": 1}`."""
        return dict(self._ask(Question("logging", body=log_changes(changes or {})), timeout_s))

    def shared_memory(self, *, timeout_s: float | None = None) -> list[Json]:
        """List the system shared memory that the server has mapped: name, key, offset, byte_size."""
        return list(self._ask(Question("shared_memory"), timeout_s))

    def cuda_shared_memory(self, *, timeout_s: float | None = None) -> list[Json]:
        """List the memory on GPUs that the server has mapped: name, device_id, byte_size."""
        return list(self._ask(Question("cuda_shared_memory"), timeout_s))


class AsyncAdmin:
    """`client.admin` of an AsyncClient: the methods of `Admin`, awaited."""

    def __init__(self, ask: Callable[[Question, float | None], Awaitable[Any]]) -> None:
        self._ask = ask

    async def statistics(
        self, model: str = "", *, version: str | int = "", timeout_s: float | None = None
    ) -> list[Json]:
        """Fetch counts and nanoseconds of a model's versions, or of all models', since they were loaded."""
        answer = await self._ask(Question("statistics", model, version_text(version)), timeout_s)
        return list(answer["model_stats"])

    async def load(
        self,
        model: str,
        *,
        config: Mapping[str, Any] | None = None,
        files: Mapping[str, bytes] | None = None,
        timeout_s: float | None = None,
    ) -> None:
        """Load a model, or load it anew, with another configuration or files; see `Admin.load`."""
        await self._ask(_load(model, config, files or {}), timeout_s)

    async def unload(self, model: str, *, dependents: bool = False, timeout_s: float | None = None) -> None:
        """Unload a model, and, with `dependents`, the models of its steps. Triton answers before it is done.

        It answers so, too, where it has no such model: whether a name is misspelled isn't told.
        """
        await self._ask(_unload(model, dependents=dependents), timeout_s)

    async def trace_settings(
        self, changes: Mapping[str, Setting] | None = None, *, model: str = "", timeout_s: float | None = None
    ) -> Json:
        """Give the settings of tracing, after these changes; see `Admin.trace_settings`."""
        return dict(await self._ask(_trace(model, changes or {}), timeout_s))

    async def log_settings(
        self, changes: Mapping[str, Setting] | None = None, *, timeout_s: float | None = None
    ) -> Json:
        """Give the settings of the server's log, after these changes."""
        return dict(await self._ask(Question("logging", body=log_changes(changes or {})), timeout_s))

    async def shared_memory(self, *, timeout_s: float | None = None) -> list[Json]:
        """List the system shared memory that the server has mapped: name, key, offset, byte_size."""
        return list(await self._ask(Question("shared_memory"), timeout_s))

    async def cuda_shared_memory(self, *, timeout_s: float | None = None) -> list[Json]:
        """List the memory on GPUs that the server has mapped; see `Admin.cuda_shared_memory`."""
        return list(await self._ask(Question("cuda_shared_memory"), timeout_s))


def _load(model: str, config: Mapping[str, Any] | None, files: Mapping[str, bytes]) -> Question:
    if config is not None and not isinstance(config, Mapping):
        raise TypeError(
            f'config is {kind_of(config)}; it takes a mapping, as client.config("{shown(model)}") gives one'
        )
    if not isinstance(files, Mapping):
        raise TypeError(f'files is {kind_of(files)}; it takes a mapping: files={{"1/model.onnx": path.read_bytes()}}')
    if config is not None and not any(config.get(key) for key in _HOW_IT_RUNS):
        hint = f'change the one that is there: {{**client.config("{shown(model)}"), …}}'
        raise ValueError(f"config has none of {', '.join(_HOW_IT_RUNS)}; it replaces all of config.pbtxt: {hint}")
    parameters = {}
    for name, content in files.items():
        if not isinstance(content, (bytes, bytearray, memoryview)):
            raise TypeError(f'files["{name}"] is {kind_of(content)}; it takes the bytes of the file')
        if name.startswith("file:"):  # as the protocol has it: of another folder Triton finds no version
            raise ValueError(f'files has "{name}"; it takes paths in the model\'s folder: "{name[5:]}"')
        if name.startswith("/") or posixpath.normpath(name).split("/")[0] in (".", ".."):
            raise ValueError(f'files has "{name}", which is no file in the model\'s folder; such as "1/model.py" is')
        parameters[f"file:{name}"] = base64.b64encode(content).decode()
    if files and config is None:  # which Triton refuses without a word of why
        raise ValueError(f'files want a config, such as config=client.config("{shown(model)}")')
    if config is not None:
        parameters["config"] = json.dumps(_marked(config, parameters))
    return Question("load", model, body={"parameters": parameters})


def _marked(config: Mapping[str, Any], files: Mapping[str, str]) -> dict[str, Any]:
    """Give a configuration that differs wherever the files do; one of other files is marked so no more."""
    parameters = {name: value for name, value in (config.get("parameters") or {}).items() if name != _MARK}
    if files:
        parameters[_MARK] = {"string_value": _hash(files)}
    rest = {name: value for name, value in config.items() if name != "parameters"}
    return {**rest, "parameters": parameters} if parameters else rest


def _hash(files: Mapping[str, str]) -> str:
    digest = hashlib.sha256()
    for name, content in sorted(files.items()):
        digest.update(f"{len(name)} {name} {len(content)} ".encode())
        digest.update(content.encode())
    return digest.hexdigest()


def _unload(model: str, *, dependents: bool) -> Question:
    return Question("unload", model, body={"parameters": {"unload_dependents": dependents}})


def _trace(model: str, changes: Mapping[str, Setting]) -> Question:
    return Question("trace", model, body=trace_changes(changes))
