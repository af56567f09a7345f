"""What Triton calls: the life of a model from `initialize` to `finalize`."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Awaitable, Callable, Collection, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from inspect import isawaitable
from types import ModuleType
from typing import Any, ClassVar

from . import cores, encoding, remote, source
from .awaitables import is_async
from .dimensions import NamedDim, agreeing
from .execution import Execution
from .failure import Failures
from .implicit import StatefulExecution
from .instance import set_current
from .padding import PaddedDim, Padding
from .parts import PartSpec
from .ragged import Ragged, RaggedExecution
from .separate import SeparateExecution
from .sequences import Sequences
from .spec import ModelSpec, parse_spec
from .streams import Streams
from .wire import Request, Response, Wire

__all__ = ["Loaded", "PythonModel", "ServedModel"]

Executor = Callable[[Sequence[Request]], list[Response] | None]
"""What answers requests."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """What serves a model: a function from arrays, by keyword, to the results.

    `text` and `text_outputs` name the BYTES inputs that the function sees as `str`, and those that it gives as such;
    `spelled` is how its definition spells outputs; the user's own files are below `roots`; `close` is
    called at the end, and what it gives is awaited. Where it is not `stacked`, it is called for each request by
    itself, for several at once.
    `padding` are the dimensions in which stacked requests may differ; `ragged` is what a graph gets end to end. Of a
    `sequence` model the function has a method `start`, which gives the state that it takes first; one that is
    `stateful` takes and gives the implicit state. The argument `request_parameters` takes those. `spec` is the model as
    its graph sees it, where that has more inputs.
    `notices` go to the server's log: what differs from the native backend for which this stands in.
    """

    function: Callable[..., Any]
    text: Collection[str] = ()
    text_outputs: Collection[str] = ()
    spelled: Mapping[str, str] = field(default_factory=dict)
    roots: Sequence[str] = ()
    close: Callable[[], Coroutine[Any, Any, None] | None] | None = None
    stacked: bool = True
    padding: Sequence[PaddedDim] = ()
    sequence: bool = False
    ragged: Ragged | None = None
    stateful: bool = False
    request_parameters: str = ""
    spec: ModelSpec | None = None
    notices: Sequence[str] = ()


class ServedModel:
    """A model that Triton's Python backend serves; a subclass says how it is loaded."""

    def load(self, spec: ModelSpec, args: Mapping[str, str]) -> Loaded:
        """Make what serves the model; `args` are Triton's own: `model_config`, `model_repository`, `model_version`…"""
        raise NotImplementedError

    def initialize(self, args: Mapping[str, str]) -> None:
        """Load the model, once for each instance."""
        encoding.use_utf8()
        spec = parse_spec(args["model_config"])
        set_current(args)
        self._loaded = self.load(spec, args)
        spec = _as_defined(self._loaded.spec or spec, self._loaded)
        wire = Wire(spec, self._loaded.text)
        if args.get("model_instance_name", "_0").endswith("_0"):  # once, not for each instance
            wire.warn([f"{spec.name}: {notice}" for notice in self._loaded.notices])
        strings = [tensor.name for tensor in spec.outputs if tensor.datatype == "BYTES"]
        failures = Failures(spec.name, roots=self._loaded.roots, function=self._loaded.function, strings=strings)
        self._run = _executor(spec, wire, self._loaded, failures)
        self.execute = self._run  # type: ignore[method-assign, assignment]  # one call less in each request's latency

    def execute(self, requests: Sequence[Request]) -> list[Response] | None:
        """Answer requests, as many as Triton hands over together; a decoupled or async model answers by itself."""
        return self._run(requests)

    def finalize(self) -> None:
        """Let go of what the model holds."""
        close: Any = getattr(self._run, "close", None)
        if getattr(self._run, "in_loop", False):
            close(self._loaded.close)  # what it awaits belongs to the loop that the calls ran in
            return
        if close is not None:
            close()
        left = self._loaded.close() if self._loaded.close is not None else None
        if left is not None:
            import asyncio

            asyncio.run(left)


class PythonModel(ServedModel):
    """A model that is a function or class of the user's. The generated subclass says which."""

    module: ClassVar[str]
    attribute: ClassVar[str]
    paths: ClassVar[Sequence[str]]
    text: ClassVar[Collection[str]] = frozenset()
    text_outputs: ClassVar[Collection[str]] = frozenset()
    spelled: ClassVar[Mapping[str, str]] = {}
    stacked: ClassVar[bool] = True
    parts: ClassVar[Sequence[PartSpec]] = ()
    """The models that a fused pipeline calls; their paths are below the version folder."""
    padding: ClassVar[Sequence[PaddedDim]] = ()
    dims: ClassVar[Sequence[NamedDim]] = ()
    """The named dimensions that more than one tensor has, but those that are padded."""
    sequence: ClassVar[bool] = False
    request_parameters: ClassVar[str] = ""

    def load(self, spec: ModelSpec, args: Mapping[str, str]) -> Loaded:
        """Import the user's module from beside the file that the subclass is in."""
        folder = os.path.dirname(os.path.abspath(sys.modules[type(self).__module__].__file__ or ""))
        roots = [os.path.join(folder, encoding.file_name(path)) for path in self.paths]
        threads = cores.share(args["model_config"], cores.available())
        parts = [replace(part, path=os.path.join(folder, part.path), threads=threads) for part in self.parts]
        failures = Failures(spec.name, roots=roots)
        if not self.stacked:
            remote.compute_between(json.loads(args["model_config"])["max_batch_size"])
        function, classes, blocks = source.find(self.module, self.attribute, roots, failures, parts)
        if self.dims:
            function = agreeing(function, self.dims, [tensor.name for tensor in spec.outputs])

        def close() -> Coroutine[Any, Any, None] | None:
            awaited = [left for part in classes if isawaitable(left := part.finalize_part())]
            return _each(awaited) if awaited else None

        waits = any(part.remote for part in parts)
        return Loaded(
            remote.resolving(function, blocks=blocks) if waits else function,
            text=self.text,
            text_outputs=self.text_outputs,
            spelled=self.spelled,
            roots=roots,
            close=close,
            stacked=self.stacked,
            padding=self.padding,
            sequence=self.sequence,
            request_parameters=self.request_parameters,
        )


async def _each(awaited: Sequence[Awaitable[object]]) -> None:
    for one in awaited:
        await one


def _executor(spec: ModelSpec, wire: Wire, loaded: Loaded, failures: Failures) -> Executor:
    """Make what answers requests, by how the function is called."""
    function = loaded.function
    if spec.decoupled:
        return (_async_execution().AsyncStreams if is_async(function) else Streams)(spec, wire, function, failures)
    if loaded.sequence and spec.sequence is not None:
        return Sequences(spec, spec.sequence, wire, function, failures)
    if loaded.stateful:
        return StatefulExecution(spec, loaded.text, function, failures)
    if loaded.ragged is not None:
        return RaggedExecution(spec, loaded.ragged, wire, function, failures)
    kind: Callable[..., Executor] = Execution if loaded.stacked else SeparateExecution
    if is_async(function):
        kind = partial(_async_execution().AsyncExecution, stacked=loaded.stacked)
    return kind(spec, wire, function, failures, padding=_padding(loaded.padding, spec))


def _async_execution() -> ModuleType:
    """Import what runs `async` models, and asyncio with it, which takes longer than all else here."""
    from . import async_execution

    return async_execution


def _as_defined(spec: ModelSpec, loaded: Loaded) -> ModelSpec:
    """Add what the definition says, and the configuration doesn't."""
    outputs = (
        replace(tensor, text=tensor.name in loaded.text_outputs, spelled=loaded.spelled.get(tensor.name, ""))
        for tensor in spec.outputs
    )
    return replace(spec, outputs=tuple(outputs), request_parameters=loaded.request_parameters)


def _padding(dims: Sequence[PaddedDim], spec: ModelSpec) -> Padding | None:
    if not dims:
        return None
    return Padding(dims, spec.arguments, [tensor.name for tensor in spec.outputs])
